"""The parts of a stage that need no controller: what lines speak of, and where there is room."""

import socket

import pytest

from deploy.dev import host, stage, workbench


def test_usual_places_are_played_elsewhere_and_told_as_the_usual_ones() -> None:
    table = {"127.0.0.1:10003": "127.0.0.1:20403", "/etc/wharfinger": "/x/etc", "127.0.0.1:1000": "no"}
    line = "curl http://127.0.0.1:10003/ && ls /etc/wharfinger/secrets .dev/etc/wharfinger"
    played = stage.translated(line, table)
    assert played == "curl http://127.0.0.1:20403/ && ls /x/etc/secrets .dev/etc/wharfinger"
    assert stage.translated(played, {here: usual for usual, here in table.items()}) == line


def test_a_longer_port_or_path_is_another_one() -> None:
    assert stage.translated("127.0.0.1:94640", {"127.0.0.1:9464": "x"}) == "127.0.0.1:94640"
    assert stage.translated("/run/wharfingers", {"/run/wharfinger": "x"}) == "/run/wharfingers"


def test_a_row_of_ports_has_nobody_on_it() -> None:
    first = stage.free_ports("0")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first + 7))
        listener.listen()
        assert stage.free_ports("0") != first


def test_an_engine_that_does_not_answer_is_one_clear_line() -> None:
    with pytest.raises(host.SetupError, match="no Docker Engine answers at DOCKER_HOST=unix:///nowhere"):
        workbench.choose_engine("unix:///nowhere", workbench.ROOT)
