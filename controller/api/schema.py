"""The published schemas of all kinds, for editors and for Kubernetes, as plain values.

It reads the models and nothing else; who writes the files is elsewhere.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import json_schema

from controller.api import config, images, meta, policy, quantities, workspace

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]

KINDS: Final[Mapping[str, type[meta.ApiModel]]] = {
    "Workspace": workspace.Workspace,
    "ResourcePolicy": policy.ResourcePolicy,
    "ImageCatalog": images.ImageCatalog,
    "ControllerConfig": config.ControllerConfig,
}

_PLURALS: Final = {
    "Workspace": "workspaces",
    "ResourcePolicy": "resourcepolicies",
    "ImageCatalog": "imagecatalogs",
    "ControllerConfig": "controllerconfigs",
}
_NULL: Final[JsonObject] = {"type": "null"}
_NOT_IN_CRDS: Final = frozenset(
    {"propertyNames", "patternProperties", "minProperties", "maxProperties", "const"}
)
_ANYTHING: Final = "x-kubernetes-preserve-unknown-fields"


class _Generator(json_schema.GenerateJsonSchema):
    """Publishes default durations as people write them."""

    def encode_default(self, dft: object) -> object:
        """Render a default as it stands in a file."""
        return (
            quantities.format_duration(dft) if isinstance(dft, dt.timedelta) else super().encode_default(dft)
        )


def plural(kind: str) -> str:
    """Return the resource name of a kind, in lower case."""
    return _PLURALS[kind]


def editor_schema(kind: str) -> JsonObject:
    """Return the JSON Schema (draft 2020-12) of a kind, for editors and validators."""
    published = _clean(KINDS[kind].model_json_schema(schema_generator=_Generator))
    assert isinstance(published, dict), "a model's schema is an object"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{meta.GROUP}/schemas/{meta.VERSION}/{kind.lower()}.json",
        "title": kind,
        **published,
    }


def custom_resource(kind: str) -> JsonObject:
    """Return the CustomResourceDefinition of a kind (apiextensions.k8s.io/v1, structural schema)."""
    model = editor_schema(kind)
    definitions = model.get("$defs", {})
    properties = model["properties"]
    assert isinstance(definitions, dict), "definitions are by name"
    assert isinstance(properties, dict), "properties are by name"
    body: JsonObject = {name: _structural(value, definitions) for name, value in properties.items()}
    body |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _metadata()}
    body["status"] = _status() if kind == "Workspace" else {"type": "object", _ANYTHING: True}
    names: JsonObject = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural(kind),
        "singular": kind.lower(),
    }
    version: JsonObject = {
        "name": meta.VERSION,
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": model["description"],
                "required": model.get("required", []),
                "properties": body,
            }
        },
        "subresources": {"status": {}},
    }
    if kind == "Workspace":
        version["additionalPrinterColumns"] = _columns()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural(kind)}.{meta.GROUP}"},
        "spec": {"group": meta.GROUP, "names": names, "scope": "Cluster", "versions": [version]},
    }


def _clean(node: Json) -> Json:
    """Leave out what the models say only to themselves: titles, and defaults that mean "absent"."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned: JsonObject = {}
    for key, value in node.items():
        if key in {"properties", "$defs", "patternProperties"} and isinstance(value, dict):
            cleaned[key] = {name: _clean(below) for name, below in value.items()}
        elif key == "default":
            cleaned |= {} if _means_absent(value) else {key: value}
        elif key != "title":
            cleaned[key] = _clean(value)
    return cleaned


def _means_absent(value: Json) -> bool:
    if isinstance(value, dict):
        return all(_means_absent(below) for below in value.values())
    return value is None


def _structural(node: Json, definitions: Mapping[str, Json]) -> Json:
    """Translate a schema to the dialect of CustomResourceDefinitions, with all references replaced."""
    assert isinstance(node, dict), "a schema is an object"
    node = _resolve(node, definitions)
    choices = node.get("anyOf")
    if isinstance(choices, list):
        return _choose(node, choices, definitions)
    result: JsonObject = {
        key: value
        for key, value in node.items()
        if key not in _NOT_IN_CRDS | {"properties", "items", "additionalProperties"}
    }
    if "const" in node:
        result["enum"] = [node["const"]]
    for key, translate in _BELOW.items():
        if key in node:
            result |= translate(node[key], definitions)
    return result | _list_type(result)


def _resolve(node: JsonObject, definitions: Mapping[str, Json]) -> JsonObject:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    target = definitions[reference.removeprefix("#/$defs/")]
    assert isinstance(target, dict), "a definition is an object"
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _choose(node: JsonObject, choices: list[Json], definitions: Mapping[str, Json]) -> JsonObject:
    """Express "or null" as nullable; a choice of several types cannot be structural and takes anything."""
    real = [choice for choice in choices if choice != _NULL]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if len(real) > 1:
        return {"description": rest.get("description", ""), _ANYTHING: True}
    chosen = _structural(real[0], definitions)
    assert isinstance(chosen, dict), "a schema is an object"
    return {**chosen, **rest, "nullable": True}


def _properties(value: Json, definitions: Mapping[str, Json]) -> JsonObject:
    assert isinstance(value, dict), "properties are by name"
    return {"properties": {name: _structural(below, definitions) for name, below in value.items()}}


def _items(value: Json, definitions: Mapping[str, Json]) -> JsonObject:
    return {"items": _structural(value, definitions)}


def _additional(value: Json, definitions: Mapping[str, Json]) -> JsonObject:
    return {"additionalProperties": _structural(value, definitions)} if isinstance(value, dict) else {}


def _by_pattern(value: Json, definitions: Mapping[str, Json]) -> JsonObject:
    assert isinstance(value, dict), "patterns have schemas"
    (below,) = value.values()
    return {"additionalProperties": _structural(below, definitions)}


_BELOW: Final[Mapping[str, Callable[[Json, Mapping[str, Json]], JsonObject]]] = {
    "properties": _properties,
    "items": _items,
    "additionalProperties": _additional,
    "patternProperties": _by_pattern,
}


def _list_type(node: JsonObject) -> JsonObject:
    """Say how lists are merged: named objects by name, all else as a whole."""
    if node.get("type") != "array":
        return {}
    items = node.get("items")
    required = items.get("required") if isinstance(items, dict) else None
    if isinstance(required, list) and "name" in required:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    return {"x-kubernetes-list-type": "atomic"}


def _metadata() -> JsonObject:
    name = editor_schema("Workspace")["$defs"]
    assert isinstance(name, dict), "definitions are by name"
    described = name["ObjectMeta"]
    assert isinstance(described, dict), "a definition is an object"
    properties = described["properties"]
    assert isinstance(properties, dict), "properties are by name"
    return {"type": "object", "properties": {"name": properties["name"]}}


def _status() -> JsonObject:
    text: JsonObject = {"type": "string"}
    condition: JsonObject = {
        "type": "object",
        "required": ["type", "status", "reason", "lastTransitionTime"],
        "properties": {
            "type": text,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": text,
            "message": text,
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": {"type": "integer"},
        },
    }
    conditions: JsonObject = {
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "type": "object",
        _ANYTHING: True,
        "properties": {"observedGeneration": {"type": "integer"}, "conditions": conditions},
    }


def _columns() -> list[Json]:
    def ready(field: str) -> str:
        return f'.status.conditions[?(@.type=="Ready")].{field}'

    columns = (
        ("Owner", "string", ".spec.owner"),
        ("Ready", "string", ready("status")),
        ("State", "string", ".spec.desiredState"),
        ("GPU", "integer", ".spec.gpu.count"),
        ("Idle", "date", ".status.idle.since"),
        ("Reason", "string", ready("reason")),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    return [{"name": name, "type": kind, "jsonPath": path} for name, kind, path in columns]
