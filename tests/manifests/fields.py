# SPDX-License-Identifier: Apache-2.0
"""Which fields Kubernetes knows, where our manifests have any: fields.json, recorded from a real API
server's OpenAPI description, so that a field with a typo is found where there is no server.

A recorded object is {field: what is known below it}; null: not looked into; "*" stands for any field."""

import json
from pathlib import Path

RECORDED = Path(__file__).resolve().parent / "fields.json"


def kind_of(thing):
    return f'{thing["apiVersion"]}/{thing["kind"]}'


class Description:
    """`fetch(path)`: the text that the server answers a GET with."""

    def __init__(self, fetch):
        self._fetch = fetch
        self._schemas = {}

    def schema_of(self, thing):
        version = thing["apiVersion"]
        root = f'/openapi/v3/api{"s" if "/" in version else ""}/{version}'
        if root not in self._schemas:
            self._schemas[root] = json.loads(self._fetch(root))["components"]["schemas"]
        group, _, version = version.rpartition("/")
        wanted = {"group": group, "version": version, "kind": thing["kind"]}
        for schema in self._schemas[root].values():
            if wanted in schema.get("x-kubernetes-group-version-kind", []):
                return schema, self._schemas[root]
        raise RuntimeError(f"no schema of {kind_of(thing)}")


def resolve(schema, schemas):
    while True:
        if "allOf" in schema:
            schema = schema["allOf"][0]
        elif "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        else:
            return schema


def known_below(value, schema, schemas):
    schema = resolve(schema, schemas)
    if isinstance(value, list):
        known = None
        for entry in value:
            known = merged(known, known_below(entry, schema.get("items", {}), schemas))
        return known
    if not isinstance(value, dict):
        return None
    if "properties" not in schema:
        return {"*": None}
    return {name: known_below(value[name], below, schemas) if name in value else None
            for name, below in sorted(schema["properties"].items())}


def merged(one, other):
    if one is None or other is None:
        return one or other
    return {name: merged(one.get(name), other.get(name)) for name in sorted({*one, *other})}


def record(things, fetch):
    description = Description(fetch)
    recorded = {}
    for thing in things:
        known = known_below(thing, *description.schema_of(thing))
        recorded[kind_of(thing)] = merged(recorded.get(kind_of(thing)), known)
    return recorded


def unknown_fields(value, known, place):
    """Places of fields that are not known, or whose inside was not looked into when it was recorded."""
    if isinstance(value, list):
        for entry in value:
            yield from unknown_fields(entry, known, place)
    elif isinstance(value, dict):
        for name, below in value.items():
            if known is None or not {name, "*"} & known.keys():
                yield f"{place}.{name}"
            elif "*" not in known:
                yield from unknown_fields(below, known[name], f"{place}.{name}")
