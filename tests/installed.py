"""PCloud as a person without the clone has it: the wheel, installed by uv in a home of its own, with the page's commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.node_process import ROOT, NodeProcess
from tests.unit.docs.pages import commands_in

__all__ = ["Home", "InstalledNode", "copy_source"]

PAGE = ROOT / "docs" / "how-to" / "install-pcloud.md"
# Of the developer's own surroundings, what would lead to the clone or to what is fetched already.
LEFT_OUT = re.compile(r"VIRTUAL_ENV|PYTHONPATH|PCLOUD_.*|XDG_.*")
SECONDS = 240


def copy_source(target: Path) -> Path:
    """What git knows of this repository, with its built pages."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )  # fmt: skip
    found = (*ROOT.glob("apps/*/web/dist/**/*"), *ROOT.glob("core/*/*/*/dist/**/*"))
    pages = (str(path.relative_to(ROOT)) for path in found)
    for name in (*listed.stdout.decode().split("\0"), *pages):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def page_commands(title: str) -> list[str]:
    """The commands of the page's section, without those of ours and what runs until Ctrl-C."""
    section = PAGE.read_text().partition(f"# {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    words = [" ".join(command) for block in blocks for command in commands_in(block)]
    return [command for command in words if command.startswith("uv ")]


class Home:
    """A user's home, in which uv is the only tool. `source`: the clone that is built there, and may be gone afterwards."""

    def __init__(self, folder: Path, source: Path):
        self.folder = folder
        self.source = source
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "uv").symlink_to(Path(sys.executable).parent / "uv")
        cache = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True)
        config = os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))
        self.environment = {name: value for name, value in os.environ.items() if not LEFT_OUT.fullmatch(name)} | {
            "HOME": str(folder), "PATH": f"{folder}/.local/bin:{folder}/bin:/usr/bin:/bin", "UV_PYTHON": sys.executable,
            # How this machine reaches its package index, and what it has of it.
            "XDG_CONFIG_HOME": config, "UV_CACHE_DIR": cache.stdout.strip(),
            # The versions that all tests run with.
            "UV_CONSTRAINT": str(source / "requirements.lock"),
        }  # fmt: skip

    def run(self, *words: str, cwd: Path | None = None, check: bool = True, **more: str) -> Any:
        """A command in this home."""
        result = subprocess.run(
            words, cwd=cwd or self.folder, env=self.environment | more, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=SECONDS,
        )  # fmt: skip
        assert not check or result.returncode == 0, f"{words} ended with {result.returncode}: {result.stderr}"
        return result

    def follow(self, title: str) -> None:
        """The commands of that section of the page, in the clone."""
        commands = page_commands(title)
        assert commands, f"the page has no commands under {title!r}"
        for command in commands:
            self.run("bash", "-c", command, cwd=self.source)

    @property
    def wheel(self) -> Path:
        [found] = (self.source / "dist").glob("*.whl")
        return found


class InstalledNode(NodeProcess):
    """A node of the installed PCloud."""

    def __init__(self, home: Home, data: Path):
        super().__init__(data)
        self.home = home

    def launch(self, arguments: list[str]) -> Any:
        with self.log.open("a") as log:
            return subprocess.Popen(
                ["pcloud", *arguments], stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.home.folder,
                env=self.home.environment, executable=str(self.home.folder / ".local" / "bin" / "pcloud"),
            )  # fmt: skip

    def cli(self, *arguments: str, check: bool = True) -> Any:
        return self.home.run("pcloud", *arguments, check=check, PCLOUD_DATA_FOLDER=str(self.data))
