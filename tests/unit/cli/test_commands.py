"""The command line as a whole: its promises to scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from core.cli import EXIT_CODES
from core.cli import main as run_main
from core.cli.commands import cli
from pcloud.errors import PCloudError
from tests.waiting import PATIENCE

# They print messages about what was done, and no facts; or only JSON.
WITHOUT_FACTS = {
    *(
        "up",
        "nats",
        "metrics",
        "runs retry",
        "runs dismiss",
        "device revoke",
        "owner end",
        "service install",
        "service uninstall",
        "notices dismiss",
        "notices restore",
    ),
    *(f"app {what}" for what in ("remove", "rollback", "pause", "resume", "restart", "grant", "revoke")),
}
ALWAYS_JSON = {"call", "graph query"}


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(node, "commands") or getattr(node, "invoke_without_command", False):
        yield " ".join(path), node
    for name, child in getattr(node, "commands", {}).items():
        yield from commands(child, (*path, name))


def test_every_command_that_prints_facts_prints_them_as_json_too() -> None:
    without = {
        path
        for path, node in commands(typer.main.get_command(cli))
        if "--json" not in {o for p in node.params for o in p.opts}
    }
    assert without == WITHOUT_FACTS | ALWAYS_JSON


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [EXIT_CODES[kind.code] for kind in PCloudError.__subclasses__()]
    assert len(set(codes)) == len(codes) and not {0, 1, 130} & set(codes)


@pytest.mark.parametrize("kind", PCloudError.__subclasses__(), ids=lambda kind: kind.code)
def test_an_error_is_one_sentence_and_its_exit_code(
    kind: type[PCloudError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise kind("[this] went wrong")

    monkeypatch.setattr("core.cli.commands.cli", fail)
    with pytest.raises(SystemExit) as ended:
        run_main()
    assert ended.value.code == EXIT_CODES[kind.code]
    assert capsys.readouterr().err.strip() == "error: [this] went wrong"


def pcloud(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "pcloud"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "No such command"),
        (["app", "instal"], "Did you mean"),
        (["runs", "--state", "LOST"], "is not a state of a run"),
        (["up", "--listen", "here"], "is not an address to listen on"),
        (["graph", "query", "{ a }", "--variables", "["], "is not JSON"),
        (["graph", "query", "{ a }", "--variables", "[]"], "is not a JSON object"),
        (["graph", "history", "nonsense"], "is not an entity"),
        (["call", "usage"], "write APP/ACTION"),
        (["app", "pack", "."], "app.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_command_line_exits_2_and_says_what_is_wrong(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = pcloud(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr and "Traceback" not in result.stderr


def test_ctrl_c_is_exit_code_130_without_a_traceback() -> None:
    """Standard input stays open, so the command waits for it until the signal comes."""
    script = "from core.cli import main; import sys, core.cli.commands as c; print('ready', flush=True); sys.argv = ['pcloud', 'app', "
    script += "'remove', 'x']; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stderr
    assert process.stdout.readline() == "ready\n"
    asked = ""
    while "?" not in asked:
        asked += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130 and "Traceback" not in said


def test_closed_output_pipe_gives_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [str(Path(sys.executable).parent / "pcloud"), "--help"]
    with os.fdopen(write, "w") as closed:
        result = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert "Traceback" not in result.stderr and "BrokenPipe" not in result.stderr


def test_client_command_imports_no_heavy_modules() -> None:
    heavy = ("graphql", "nats", "tantivy", "core.apps", "core.node.bootstrap")
    script = f"import sys, core.cli.commands; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert result.stdout.strip() == "[]"
