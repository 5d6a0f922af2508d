"""What every document has in common: strictness, immutability and metadata.

It knows no kind of document and nothing about files; who reads and writes them is elsewhere.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from controller.api import fields

API_VERSION: Final = "wharfinger.dev/v1"
GROUP: Final = "wharfinger.dev"
VERSION: Final = "v1"

_LABEL_KEY = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"


class ApiModel(BaseModel):
    """The base of every published structure.

    Values are immutable; unknown keys and values of another type are refused; keys are camelCase.
    Whether a key was written at all (null is not absent) is told by `model_fields_set`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


LabelKey = Annotated[
    fields.Text,
    AfterValidator(fields.matching(_LABEL_KEY, "a label key, such as project or example.org/project")),
]
LabelValue = Annotated[fields.Text, Field(max_length=63)]


class ObjectMeta(ApiModel):
    """Who an object is. The name is its identity; the file that it is written in is not."""

    name: fields.Label = Field(
        description="A DNS label of at most 40 characters, unique over all files of the same kind."
    )
    labels: fields.NamedTable[LabelKey, LabelValue] = Field(
        default_factory=fields.nothing, description="Short words for selection and metrics."
    )
    annotations: fields.NamedTable[LabelKey, fields.Text] = Field(
        default_factory=fields.nothing, description="Notes for people and tools."
    )
