"""How services that are exposed by a name are called at the site's proxy.

It knows the shape of names and paths; which workspace has which name is decided in planning.
"""

import enum
import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from controller.api import fields, meta

PLACEHOLDERS: Final = ("{owner}", "{name}", "{service}", "{domain}")
"""What is replaced in a pattern; `{owner}` is the login name as a DNS label."""

_HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_PREFIX = r"(?:/[a-z0-9._~-]+)+"
_PART = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


class Scheme(enum.StrEnum):
    """What browsers speak with the site's proxy."""

    HTTP = "Http"
    HTTPS = "Https"


def _blank(text: str) -> str:
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "x")
    return text


def _check_pattern(text: str) -> str:
    if not re.fullmatch(_HOST, _blank(text)):
        raise fields.refusal(
            f'"{text}" is no host name; write letters, digits, dashes, dots and {", ".join(PLACEHOLDERS)}'
        )
    return text


def _check_prefix(text: str) -> str:
    if not re.fullmatch(_PREFIX, _blank(text)):
        raise fields.refusal(f'"{text}" is no path, such as /{{owner}}/{{service}}')
    return text


Pattern = Annotated[fields.Text, AfterValidator(_check_pattern), Field(max_length=253)]
PathPrefix = Annotated[fields.Text, AfterValidator(_check_prefix), Field(max_length=253)]
Domain = Annotated[
    fields.Text,
    AfterValidator(fields.matching(_HOST, "a domain, such as lab.example.org")),
    Field(max_length=253),
]


Part = Annotated[
    fields.Text,
    AfterValidator(fields.matching(_PART, "a name of the proxy's configuration, such as websecure")),
    Field(max_length=100),
]


class Hostnames(meta.ApiModel):
    """The names of services with expose: Hostname."""

    domain: Domain = Field(description="Replaces {domain}.")
    pattern: Pattern = Field(
        default="{owner}-{service}.{domain}",
        description="The host name of a service; {owner}, {name}, {service} and {domain} are replaced, "
        "the owner's login name as a DNS label.",
    )
    patterns: fields.NamedTable[fields.Label, Pattern] = Field(
        default_factory=fields.nothing,
        description="Other patterns for services of these names, such as jupyter: jupyter-{owner}.{domain}.",
    )
    path_prefix: PathPrefix | None = Field(
        default=None, description="Only requests below this path, which is taken off; null: all."
    )
    entry_points: fields.UniqueItems[Part] = Field(
        default=(), description="The proxy's entry points; empty: its default ones."
    )
    cert_resolver: Part | None = Field(
        default=None, description="The proxy's resolver of certificates; null: no TLS by this document."
    )
    scheme: fields.Choice[Scheme] | None = Field(
        default=None,
        description="What people type before the name, for the lines that tell how to connect; "
        "null: Https with a certResolver, else Http.",
    )

    @model_validator(mode="after")
    def _tells_services_apart(self) -> Self:
        for pattern in (self.pattern, *self.patterns.values()):
            text = pattern + (self.path_prefix or "")
            if "{owner}" not in text and "{name}" not in text:
                raise fields.refusal(
                    f'"{pattern}" is the same for everybody; use {{owner}} or {{name}} in it'
                )
        return self
