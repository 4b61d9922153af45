"""What the command line prints: the literal text, in order, and safe for the terminal."""

from __future__ import annotations

import json
import signal

import pytest
from rich.text import Text

from core.cli.runs import parse_actions, parse_arguments, whole_id
from core.cli.terminal import confirm, plain, print_json, print_table, run, say_error
from pcloud.errors import NotFound, Rejected


@pytest.mark.parametrize(
    "hostile", ["\x1b[2K\x1b[1Agone", "a\rb", "first\nsecond", "\u202eevil", "[bold]b[/] [/]", "\x9b2J"]
)
def test_apps_own_text_stays_one_harmless_line(hostile: str) -> None:
    shown = Text.from_markup(plain(hostile)).plain
    assert shown.isprintable()
    assert (
        shown.replace("\ufffd", "").replace(" ", "") in hostile.replace(" ", "").replace("\r", "").replace("\n", "")
        or "\x1b" in hostile
    )


@pytest.mark.parametrize("hostile", ["\x1b[2K\x1b[1Agone", "a\rb", "\u202eevil", "[bold]b[/] [/]", "\x9b2J"])
def test_an_error_with_an_apps_last_words_is_harmless(capsys: pytest.CaptureFixture[str], hostile: str) -> None:
    say_error(f"it does not stay up; its last words:\n{hostile}")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("its last words:")
    assert "".join(rest).isprintable() and len(rest) == 1


def test_markup_in_a_text_is_printed_literally() -> None:
    assert Text.from_markup(plain("it may [red]read[/] all")).plain == "it may [red]read[/] all"


def test_a_table_is_aligned_and_carries_notes_below_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "STATE"), [("a", "RUNNING"), ("longer", None)], empty="none", notes=["", "why"])
    assert capsys.readouterr().out.splitlines() == ["NAME    STATE", "a       RUNNING", "longer", "    why"]


def test_an_empty_table_says_so_to_the_person_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [], empty="No app is installed.")
    printed = capsys.readouterr()
    assert printed.out == "" and "No app is installed." in printed.err


def test_json_for_a_script_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": ["ä", 1]})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and json.loads(printed) == {"a": ["ä", 1]}


def test_json_on_a_terminal_moves_nothing_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    hostile = {"\x9b2J": "\x1b]0;gone\x9c \x7f\x80 ä"}
    print_json(hostile)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable() and "ä" in printed and json.loads(printed) == hostile


def test_arguments_are_json_or_else_texts() -> None:
    assert parse_arguments(["size=3", "name=Ada", "tags=[1]", "text=a=b", "empty="]) == {
        "size": 3, "name": "Ada", "tags": [1], "text": "a=b", "empty": "",
    }  # fmt: skip
    for wrong in ("size", "=3"):
        with pytest.raises(Rejected, match="KEY=VALUE"):
            parse_arguments([wrong])


def test_an_action_on_the_command_line_has_a_name() -> None:
    assert parse_actions(["webhook=photos/note"]) == {"webhook": "photos/note"}
    for wrong in ("photos/note", "=photos/note", "webhook="):
        with pytest.raises(Rejected, match="write KEY=APP/ACTION"):
            parse_actions([wrong])


def test_a_run_is_named_by_as_much_of_its_id_as_tells_it_apart() -> None:
    failed = [{"id": "ab12"}, {"id": "ab34"}, {"id": "cd56"}]
    assert whole_id("c", failed) == "cd56"
    with pytest.raises(Rejected, match="write more"):
        whole_id("ab", failed)
    with pytest.raises(NotFound):
        whole_id("ef", failed)


def test_ctrl_c_at_a_question_ends_the_command_in_a_running_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[object] = []
    monkeypatch.setattr("typer.confirm", lambda *_, **__: signal.raise_signal(signal.SIGINT))

    async def work() -> None:
        answered.append(confirm("Go on?", otherwise="`--yes` goes on"))

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert answered == []
