"""The published schemas: that they say what the models accept, in each dialect."""

from collections.abc import Iterator

import pytest

from controller.api import config, schema

KINDS = pytest.mark.parametrize("kind", sorted(schema.KINDS))


def nodes(value: schema.Json) -> Iterator[schema.JsonObject]:
    """Every mapping of a document, the outermost first."""
    if isinstance(value, dict):
        yield value
        for below in value.values():
            yield from nodes(below)
    elif isinstance(value, list):
        for below in value:
            yield from nodes(below)


def at(value: schema.Json, *path: str | int) -> schema.Json:
    for part in path:
        value = value[part]  # type: ignore[index]
    return value


def crd_schema(kind: str) -> schema.Json:
    return at(schema.custom_resource(kind), "spec", "versions", 0, "schema", "openAPIV3Schema")


@KINDS
def test_an_editor_finds_every_reference(kind: str) -> None:
    document = schema.editor_schema(kind)
    references = [node["$ref"] for node in nodes(document) if "$ref" in node]
    definitions = document["$defs"]
    assert isinstance(definitions, dict)
    assert references
    for reference in references:
        assert isinstance(reference, str)
        assert reference.removeprefix("#/$defs/") in definitions


@KINDS
def test_a_cluster_gets_a_structural_schema(kind: str) -> None:
    body = crd_schema(kind)
    forbidden = {
        "$ref",
        "anyOf",
        "oneOf",
        "const",
        "patternProperties",
        "propertyNames",
        "uniqueItems",
        "$defs",
    }
    for node in nodes(body):
        assert not forbidden & set(node)
        assert not ("properties" in node and "additionalProperties" in node)
        if node.get("type") == "array":
            assert node["x-kubernetes-list-type"] in {"atomic", "map"}


@KINDS
def test_a_cluster_resource_is_named_after_its_kind(kind: str) -> None:
    resource = schema.custom_resource(kind)
    assert at(resource, "metadata", "name") == f"{schema.plural(kind)}.wharfinger.dev"
    assert at(resource, "spec", "versions", 0, "subresources") == {"status": {}}


def test_the_columns_of_a_workspace_are_those_of_the_command() -> None:
    columns = at(schema.custom_resource("Workspace"), "spec", "versions", 0, "additionalPrinterColumns")
    assert isinstance(columns, list)
    assert [at(column, "name") for column in columns] == [
        "Owner",
        "Ready",
        "State",
        "GPU",
        "Idle",
        "Reason",
        "Age",
    ]


def test_only_what_may_be_unlimited_is_nullable() -> None:
    spec = at(crd_schema("Workspace"), "properties", "spec", "properties")
    assert at(spec, "resources", "properties", "memory", "nullable") is True
    assert at(spec, "lifecycle", "properties", "maxRuntime", "nullable") is True
    stop_grace = at(spec, "lifecycle", "properties", "stopGrace")
    assert isinstance(stop_grace, dict)
    assert "nullable" not in stop_grace


def test_an_image_may_be_a_plain_string() -> None:
    definition = at(schema.editor_schema("Workspace"), "$defs", "ImageRef", "anyOf")
    assert at(definition, 0) == {"type": "string"}
    mapping = at(definition, 1, "properties")
    assert isinstance(mapping, dict)
    assert set(mapping) == {"alias", "reference"}


def test_published_defaults_are_accepted_as_they_stand() -> None:
    properties = at(crd_schema("ControllerConfig"), "properties")
    assert isinstance(properties, dict)
    written = {
        name: node["default"]
        for name, node in properties.items()
        if isinstance(node, dict) and "default" in node
    }
    assert {"resyncInterval", "docker"} < set(written)
    assert config.ControllerConfig.model_validate(written) == config.ControllerConfig()
