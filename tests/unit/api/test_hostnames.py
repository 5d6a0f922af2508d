"""Which names and paths a policy may give to services; what the proxy could take for more is refused."""

from typing import Any

import pydantic
import pytest

from controller.api.hostnames import Hostnames, Scheme

GOOD: dict[str, Any] = {
    "domain": "lab.example.org",
    "pattern": "{owner}-{service}.{domain}",
    "patterns": {"jupyter": "jupyter-{owner}.{domain}"},
    "pathPrefix": "/{owner}/{service}",
    "entryPoints": ["websecure", "web-2"],
    "certResolver": "lets_encrypt.dns",
    "scheme": "Https",
}


def test_all_of_it_can_be_said() -> None:
    found = Hostnames.model_validate(GOOD)
    assert found.scheme is Scheme.HTTPS
    assert found.entry_points == ("websecure", "web-2")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("domain", "Lab.example.org", "domain"),
        ("domain", "lab.example.org.", "domain"),
        ("pattern", "{owner}_{service}.{domain}", "no host name"),
        ("pattern", "{owner}.{site}.{domain}", "no host name"),
        ("pattern", "{service}.{domain}`) || Host(`{owner}", "no host name"),
        ("pattern", "*.{owner}.{domain}", "no host name"),
        ("patterns", {"jupyter": "-{owner}.{domain}"}, "no host name"),
        ("pathPrefix", "{owner}", "no path"),
        ("pathPrefix", "/{owner}/", "no path"),
        ("pathPrefix", "/{owner}`", "no path"),
        ("entryPoints", ["web secure"], "a name of the proxy's configuration"),
        ("entryPoints", ["{{ env `HOME` }}"], "a name of the proxy's configuration"),
        ("certResolver", "a@file", "a name of the proxy's configuration"),
        ("scheme", "Ftp", "Https"),
    ],
)
def test_what_could_mean_another_thing_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        Hostnames.model_validate({**GOOD, key: value})


@pytest.mark.parametrize("pattern", ["{service}.{domain}", "code.{domain}"])
def test_a_name_for_everybody_is_refused(pattern: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="the same for everybody"):
        Hostnames.model_validate({"domain": "lab.example.org", "pattern": pattern})
