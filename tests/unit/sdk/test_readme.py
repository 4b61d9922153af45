"""The example in the SDK's README is complete and short, and its parts fit together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import graphql

import pcloud
from pcloud.app import App
from pcloud.manifest_file import load_manifest

README = Path(pcloud.__file__).with_name("README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


async def test_the_example_answers_the_action_of_its_manifest() -> None:
    source = block("python")
    assert len(source.splitlines()) <= 25
    names: dict[str, Any] = {"__name__": "diary"}
    exec(compile(source, "README.md", "exec"), names)
    app: App = names["app"]
    manifest = load_manifest(block("yaml"))
    written = list[dict[str, Any]]()

    class Graph:
        async def query(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
            graphql.parse(document)
            return {"getImage": {"takenAt": "2024-05-01T10:00:00.000Z", "camera": "X"}}

        async def mutate(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
            graphql.parse(document)
            written.append(variables)
            return {}

    app.__dict__["graph"] = Graph()
    (action,) = manifest.actions
    assert await names[action.name.replace("-", "_")](**dict.fromkeys(action.args, "i1")) == {"noted": True}
    fields = graphql.parse(block("graphql")).definitions[0].fields  # type: ignore[attr-defined]
    assert {field.name.value for field in fields} == set(written[0]["entry"])


def test_everything_that_the_app_offers_is_in_the_readme() -> None:
    names = [
        name
        for name in vars(App)
        if not name.startswith("_") and name not in ("environment", "gateway", "run", "serve", "stop")
    ]
    assert [name for name in names if f"app.{name}" not in README] == []
