"""The manifest's JSON Schema, for editors: completion, and mistakes underlined while typing.

It is made from the structs in `pcloud.manifest`. The file `manifest.schema.json` beside this module is its output, and
a test checks that it is current: `python -m pcloud.manifest_schema > pcloud/manifest.schema.json`.
"""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec

from pcloud.manifest import Manifest, Verb

__all__ = ["manifest_json_schema", "schema_text"]


def manifest_json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of `app.yaml`. It checks shapes only; `load_manifest` checks names and references."""
    schema: dict[str, Any] = msgspec.json.schema(Manifest)
    definitions: dict[str, Any] = schema["$defs"]
    definitions["Use"]["oneOf"] = [{"required": [verb]} for verb in get_args(Verb)]
    definitions["Manifest"]["properties"]["name"]["pattern"] = "^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$"
    definitions["Manifest"]["properties"]["version"]["pattern"] = r"^\d+\.\d+\.\d+"
    for definition in definitions.values():
        for property in definition["properties"].values():
            property.pop("default", None)  # editors offer them as text to insert, which distracts
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "PCloud app.yaml", **schema}


def schema_text() -> str:
    return json.dumps(manifest_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
