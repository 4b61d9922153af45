"""The tutorial and the how-to pages for developers, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.node_process import ROOT, NodeProcess, wait_until
from tests.unit.docs.pages import commands_in

BIN = Path(sys.executable).parent


def commands(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [words for block in blocks for words in commands_in(block)]


def follow(steps: list[list[str]], folder: Path, **more: str) -> list[str]:
    """Run the commands in order; return the output of each. `cd` applies to those after it."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", **more}
    said = list[str]()
    for words in steps:
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        result = subprocess.run(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
        )
        assert result.returncode == 0, f"{words} ended with {result.returncode}: {result.stdout} {result.stderr}"
        said.append(result.stdout)
    return said


def test_the_tutorial_leads_from_nothing_to_an_installed_app(node: NodeProcess, tmp_path: Path) -> None:
    # What runs until Ctrl-C has tests of its own.
    steps = [words for words in commands("tutorial/first-app.md") if words[:3] != ["pcloud", "app", "dev"]]
    known = {"UV_CONSTRAINT": str(ROOT / "core" / "cli" / "templates" / "app" / "requirements.lock")}
    follow(steps, tmp_path, PCLOUD_DATA_FOLDER=str(node.data), **known)

    def counted() -> bool:
        return {"words": 3} in node.graphql("{ queryWordCounter_Note { words } }")["queryWordCounter_Note"]

    wait_until(counted, what="the tutorial's three words")
    assert [run["action"] for run in node.json("runs", "--app", "word-counter", "--json")] == ["count"]


def test_signing_as_the_page_says(tmp_path: Path) -> None:
    steps = commands("how-to/sign-an-app.md")
    follow([["pcloud", "app", "new", "word-counter"]], tmp_path)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    key = home / ".ssh" / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True, timeout=60)
    words = [[word.replace("~", str(home)) for word in step] for step in steps]
    # A key without a password, since it can't be typed here; and each tool signs what `pack` has made.
    words = [[*step, "-W"] if step[:2] == ["minisign", "-G"] else step for step in words]
    pack = ["pcloud", "app", "pack", "word-counter"]
    steps = [one for step in words for one in ([pack, step] if step[0] != "pcloud" and "-G" not in step else [step])]
    said = follow(steps, tmp_path)
    assert sum("signed with the" in one for one in said) == 3
    assert "signed with the minisign key RW" in said[-1]
