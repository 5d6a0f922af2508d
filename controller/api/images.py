"""Which images are approved, and the short names by which people ask for them.

It knows names alone: what an Engine or a registry has under them is found out elsewhere.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from controller.api import fields, meta


class CatalogImage(meta.ApiModel):
    """One image that people may ask for by its alias."""

    reference: fields.ImageName = Field(description="Full reference, registry/name:tag.")
    digest: fields.Digest | None = Field(
        default=None, description="Pins the content, sha256:...; null: whatever the tag names."
    )
    gpu: bool = Field(default=False, description="Whether the image is of use only with a GPU.")
    approved: bool = Field(default=True, description="Whether workspaces may use it.")

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
