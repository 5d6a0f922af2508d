"""Which images are approved, and the short names by which people ask for them.

It knows names alone: what an Engine or a registry has under them is found out elsewhere.
"""

import enum
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from controller.api import fields, meta, rules, workspace


class ScanResult(enum.StrEnum):
    """What a scanner of the site said."""

    PASSED = "Passed"
    FAILED = "Failed"


class Scan(meta.ApiModel):
    """The last scan of an image, as the site's scanner wrote it down; nothing is scanned here."""

    result: fields.Choice[ScanResult] = Field(description="Failed: the image is refused.")
    at: fields.Timestamp = Field(description="When, a quoted time with its zone.")
    by: fields.Given[fields.Line] = Field(default=None, description="Which scanner.")
    report: fields.Given[fields.Line] = Field(default=None, description="Where its report is.")


class Deprecation(meta.ApiModel):
    """An image that is still there and should not be used any more."""

    message: fields.Line = Field(description="Why, and until when it is there.")
    successor: fields.Given[fields.ImageName] = Field(
        default=None, description="The alias to use in its place; it must be in the catalog."
    )


class CatalogImage(meta.ApiModel):
    """One image that people may ask for by its alias."""

    reference: fields.ImageName = Field(description="Full reference, registry/name:tag.")
    digest: fields.Digest | None = Field(
        default=None, description="Pins the content, sha256:...; null: whatever the tag names."
    )
    gpu: bool = Field(default=False, description="Whether the image is of use only with a GPU.")
    approved: bool = Field(default=True, description="Whether workspaces may use it.")
    description: fields.Given[fields.Line] = Field(default=None, description="What is in it, for people.")
    scan: fields.Given[Scan] = Field(default=None, description="What the site's scanner said.")
    deprecated: fields.Given[Deprecation] = Field(default=None, description="Use another one, and why.")
    command: fields.Given[rules.Command] = Field(
        default=None, description="Program and arguments where neither class nor workspace says any."
    )
    services: fields.Given[fields.Items[workspace.Service]] = Field(
        default=None, description="Ports on which it listens; class and workspace add to them, by name."
    )

    @model_validator(mode="after")
    def _one_digest(self) -> Self:
        if self.digest is not None and "@" in self.reference:
            raise fields.refusal("reference already has a digest; leave digest out")
        return self

    @property
    def pinned(self) -> str:
        """The reference to give to the Engine, with the digest where there is one."""
        return self.reference if self.digest is None else f"{self.reference}@{self.digest}"


class CatalogSpec(meta.ApiModel):
    """The images by alias."""

    images: fields.NamedTable[fields.ImageName, CatalogImage] = Field(
        default_factory=fields.nothing, description="Images by alias."
    )

    @model_validator(mode="after")
    def _successors_exist(self) -> Self:
        for alias, image in self.images.items():
            successor = image.deprecated.successor if image.deprecated else None
            if successor is not None and (successor not in self.images or successor == alias):
                raise fields.refusal(
                    f'the successor "{successor}" of "{alias}" is no other image of the catalog'
                )
        return self

    def find(self, alias: str) -> CatalogImage | None:
        """Return the entry of an alias, or None where the catalog has none."""
        images: Mapping[str, CatalogImage] = self.images
        return images.get(alias)


class ImageCatalog(meta.ApiModel):
    """The images that the administrator approved."""

    api_version: Literal["wharfinger.dev/v1"] = Field(description="The version of this format.")
    kind: Literal["ImageCatalog"] = Field(description="The kind of this document.")
    metadata: meta.ObjectMeta = Field(description="Who it is.")
    spec: CatalogSpec = Field(description="The images.")
