"""An app that keeps notes, and whose only trigger fails at each of them."""

from __future__ import annotations

from pathlib import Path

from core.apps import packed
from tests.node_process import ROOT

__all__ = ["WRITE", "diary"]

MANIFEST = """
name: diary
version: 1.0.0
title: Diary
description: Keeps notes
schema: schema.graphql
actions:
  - name: fail
    args: {text: String!}
triggers:
  - name: fail-at-notes
    on: {type: diary/Note, event: created}
    action: fail
    args: {text: "{{ node.text }}"}
    attempts: 1
run:
  command: [python, diary.py]
"""
PROGRAM = """
from pcloud.app import App

app = App()
app.log.warning(OUTPUT)


@app.action
async def fail(text: str) -> None:
    raise ValueError(f"it fails at {text}")


if __name__ == "__main__":
    app.run()
"""
NOTE = "type Note { text: String! @search(by: [term]) }"
WRITE = "mutation($text: String!) { addDiary_Note(input: [{text: $text}]) { count } }"


def diary(folder: Path, *, title: str = "Diary", output: str = "it runs") -> bytes:
    """Its archive, made in `folder`, which must not exist. `output`: what its program logs."""
    folder.mkdir()
    (folder / "app.yaml").write_text(MANIFEST.replace("title: Diary", f"title: {title}"))
    (folder / "diary.py").write_text(PROGRAM.replace("OUTPUT", repr(output)))
    (folder / "schema.graphql").write_text(NOTE)
    for name in ("pyproject.toml", "requirements.lock"):
        (folder / name).write_bytes((ROOT / "bench" / "apps" / "probe" / name).read_bytes())
    return packed(folder).data
