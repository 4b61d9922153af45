"""`pcloud app new` and `pcloud app lock`: writes a working app to start from, and the lock of its packages.

The template is itself an app, `word-counter`: only its name and the SDK's wheel are filled in.
"""

from __future__ import annotations

import subprocess
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from core.cli.terminal import AsJson, console, facts, plain, print_json
from core.shipped.sdk import lay_sdk_wheel, sdk_requirement
from pcloud.errors import Conflict, Rejected, Unavailable
from pcloud.subject import check_app

__all__ = ["lock", "new"]

TEMPLATE = "word-counter"
# The SDK is not on a registry: its wheel is in the app's folder, and pyproject.toml names it.
WHEELS = "wheels"
WHEEL = "pcloud_sdk.whl"
LOCK = "requirements.lock"
SECONDS = 300


def new(
    name: Annotated[str, typer.Argument(help="The app's name: small letters, digits and hyphens.")],
    to: Annotated[Path | None, typer.Option("--to", help="The folder to make; by default NAME here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a folder with an app that works: a type, an action, a trigger and a test."""
    folder = to or Path(check_app(name))
    made = write_app(check_app(name), folder)
    if as_json:
        print_json({"name": name, "folder": str(folder), "files": made})
        return
    for path in made:
        facts.print(plain(folder / path))
    console.print(f"Run it with `pcloud app dev {plain(folder)}`; test it with `uv run pytest` in it.")


def write_app(name: str, folder: Path) -> list[str]:
    """Write the template under this name; return the paths of its files. Raises `Conflict` for a folder that is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} already exists and is not empty: name another folder with --to")
    from core.graph.schema.names import pascal

    wheel = lay_sdk_wheel(folder / WHEELS)
    words = {TEMPLATE: name, pascal(TEMPLATE): pascal(name), WHEEL: wheel.name}
    made = _write(files("core.cli") / "templates" / "app", folder, "", words)
    return sorted([*made, f"{WHEELS}/{wheel.name}"])


def _write(source: Traversable, target: Path, path: str, words: dict[str, str]) -> list[str]:
    if source.is_dir():
        if source.name == "__pycache__":
            return []
        (target / path).mkdir(parents=True, exist_ok=True)
        return [one for entry in source.iterdir() for one in _write(entry, target, f"{path}{entry.name}/", words)]
    path = path.rstrip("/")
    text = source.read_text("utf-8")
    for before, after in words.items():
        text = text.replace(before, after)
    (target / path).write_text(text, "utf-8")
    return [path]


def lock(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The app's folder, with pyproject.toml.")
    ],
    as_json: AsJson = False,
) -> None:
    """Pin the packages of an app's pyproject.toml in requirements.lock, by version and hash. The SDK itself comes with the node."""
    project, target = folder / "pyproject.toml", folder / LOCK
    if not project.exists():
        raise Rejected(f"{folder} has no pyproject.toml: an app that needs no Python packages needs no lock")
    compile_lock(project, target)
    pinned = sum(line[:1].isalnum() for line in target.read_text().splitlines())
    if as_json:
        print_json({"lock": str(target), "packages": pinned})
    else:
        facts.print(f"{plain(target)}  {pinned} packages")


def compile_lock(project: Path, target: Path) -> None:
    """Raises `Unavailable` with uv's message if a package can't be found."""
    import uv

    # nkeys has no wheels, so an app gets it from the node, like the SDK.
    without = ("--no-emit-package", "pcloud-sdk", "--no-emit-package", "nkeys")
    words = [
        uv.find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
        "--no-header", "--no-annotate", "--no-sources", *without, str(project), "-", "-o", str(target),
    ]  # fmt: skip
    result = subprocess.run(words, input=f"{sdk_requirement()}\n", capture_output=True, text=True, timeout=SECONDS)
    if result.returncode:
        raise Unavailable(f"the packages of {project} can't be pinned: {result.stderr.strip()[-2000:]}")
