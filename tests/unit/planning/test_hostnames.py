"""What services are called at the site's proxy: patterns, labels, and who has a name that two want."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.conditions import Reason
from controller.api.hostnames import Hostnames
from controller.model.effective import Effective
from controller.model.routes import Names
from controller.planning import hostnames, resolve
from controller.planning.standing import Standings
from tests.support import builders

RULES = {"domain": "lab.example.org", "patterns": {"jupyter": "jupyter-{owner}.{domain}"}}
"""Both schemes of the services that people have had: alice-code and jupyter-alice."""
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def rules(**fields: Any) -> Hostnames:  # noqa: ANN401 - as written
    return Hostnames.model_validate({**RULES, **fields})


def effective(name: str, *services: str, owner: str | None = None) -> Effective:
    asked = [{"name": one, "port": 8000 + n, "expose": "Hostname"} for n, one in enumerate(services)]
    spec = builders.accepted(name, services=asked, owner=owner or name)
    account = builders.account(owner or name)
    found = resolve.resolve(spec, Standings().at(builders.policy(), builders.NOW), account)
    assert isinstance(found, Effective)
    return found


def names(*several: Effective, **fields: Any) -> dict[str, Names]:  # noqa: ANN401 - as written
    return dict(hostnames.assign(several, rules(**fields), published=True))


def urls(found: Names) -> list[str]:
    return [route.url for route in found.routes]


@pytest.mark.parametrize(
    ("login", "label"),
    [
        ("alice", "alice"),
        ("Alice.Smith", "alice-smith"),
        ("alice.smith@lab.example.org", "alice-smith-lab-example-org"),
        ("_svc_build_", "svc-build"),
        ("a+b", "a-b"),
        ("__", "u-9911f4d2"),
        ("x" * 63, "x" * 63),
        ("x" * 64, "x" * 54 + "-7ce10097"),
    ],
)
def test_a_login_name_becomes_a_label(login: str, label: str) -> None:
    assert hostnames.label(login) == label


@given(st.text("abcXYZ019_.@+-", min_size=1, max_size=90))
def test_every_login_name_becomes_a_label(login: str) -> None:
    assert LABEL.fullmatch(hostnames.label(login))


def test_services_have_names_by_their_patterns() -> None:
    found = names(effective("alice", "code", "jupyter"))
    assert urls(found["alice"]) == [
        "http://alice-code.lab.example.org/",
        "http://jupyter-alice.lab.example.org/",
    ]


def test_names_are_of_the_owner_and_can_be_of_the_workspace() -> None:
    thesis = effective("thesis", "code", owner="Alice")
    assert urls(names(thesis)["thesis"]) == ["http://alice-code.lab.example.org/"]
    found = names(thesis, pattern="{name}.{domain}", certResolver="le", entryPoints=["websecure"])["thesis"]
    assert urls(found) == ["https://thesis.lab.example.org/"]
    assert (found.routes[0].entry_points, found.routes[0].cert_resolver) == (("websecure",), "le")


def test_one_host_with_paths() -> None:
    found = names(effective("alice", "code"), pattern="{domain}", pathPrefix="/{owner}/{service}")["alice"]
    assert (found.routes[0].host, found.routes[0].path) == ("lab.example.org", "/alice/code")
    assert urls(found) == ["http://lab.example.org/alice/code/"]


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"scheme": "Https"}, "https://alice-code.lab.example.org/"),
        ({"scheme": "Http", "certResolver": "le"}, "http://alice-code.lab.example.org/"),
        ({"certResolver": "le"}, "https://alice-code.lab.example.org/"),
    ],
)
def test_what_people_type_is_said_or_follows_from_tls(fields: dict[str, str], url: str) -> None:
    assert urls(names(effective("alice", "code"), **fields)["alice"]) == [url]


def test_the_older_of_two_has_the_name_and_the_other_says_so() -> None:
    older, younger = effective("one", "b-c", owner="a"), effective("two", "c", "d", owner="a-b")
    found = names(older, younger)
    assert urls(found["one"]) == ["http://a-b-c.lab.example.org/"]
    assert urls(found["two"]) == ["http://a-b-d.lab.example.org/"]
    (gap,) = found["two"].gaps
    assert gap.reason is Reason.HOSTNAME_TAKEN
    assert gap.path == "spec.services.c.expose"
    assert gap.message == (
        'http://a-b-c.lab.example.org/ leads to the service "b-c" of the workspace one, which is older'
    )
    assert not names(younger, older)["two"].gaps


def test_two_services_of_one_workspace_can_want_one_name() -> None:
    found = names(effective("alice", "code", "web"), pattern="{owner}.{domain}")["alice"]
    assert urls(found) == ["http://alice.lab.example.org/"]
    assert [gap.path for gap in found.gaps] == ["spec.services.web.expose"]


def test_a_label_that_is_too_long_is_cut_and_stays_different() -> None:
    owners = ["x" * 60, "x" * 60 + "y"]
    hosts = {
        names(effective(f"w{n}", "code", owner=owner))[f"w{n}"].routes[0].host.split(".")[0]
        for n, owner in enumerate(owners)
    }
    assert len(hosts) == 2
    assert all(LABEL.fullmatch(host) for host in hosts)


def test_a_name_that_is_too_long_is_none() -> None:
    domain = ".".join(["x" * 60] * 4)
    found = names(effective("alice", "a-service-with-a-name"), domain=domain)["alice"]
    assert found.routes == ()
    assert "253 at most" in found.gaps[0].message


@pytest.mark.parametrize(
    ("given_rules", "published", "lacking"),
    [
        (None, True, "it is not published: the policy has no hostnames"),
        (rules(), False, "it is not published: the configuration has no proxy.directory"),
    ],
)
def test_what_is_missing_is_named(given_rules: Hostnames | None, published: bool, lacking: str) -> None:
    found = hostnames.assign([effective("alice", "code")], given_rules, published=published)
    assert [(gap.path, gap.message, gap.reason) for gap in found["alice"].gaps] == [
        ("spec.services.code.expose", lacking, Reason.NOT_ENFORCED)
    ]


def test_who_asks_for_nothing_has_nothing() -> None:
    assert names(effective("alice")) == {}
