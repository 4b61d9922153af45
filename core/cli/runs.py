"""`pcloud runs …` and `pcloud call`: shows and controls the work of the event processor."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.actors import who
from core.cli.client import open_client
from core.cli.life import segment
from core.cli.terminal import AsJson, DataOption, console, facts, plain, print_json, print_table, run
from pcloud.errors import NotFound, Rejected

__all__ = ["call", "commands", "parse_arguments"]

commands = typer.Typer(invoke_without_command=True, help="The work of the event processor.")
QUERY = "query($app: String, $state: String, $first: Int) { runs(app: $app, state: $state, first: $first) }"
SHOW = "query($id: String!) { run(id: $id) }"
RETRY = "mutation($id: String!) { retryRun(id: $id) }"
DISMISS = "mutation($id: String!) { dismissRun(id: $id) }"
RETRY_ALL = "mutation($app: String, $trigger: String) { retryRuns(app: $app, trigger: $trigger) }"
DISMISS_ALL = "mutation($app: String, $trigger: String) { dismissRuns(app: $app, trigger: $trigger) }"
STATES = ("NEW", "IN_PROGRESS", "DONE", "FAILED")
PACKAGES = re.compile(r'"[^"]*/site-packages/')
WHOLE = 32  # hex digits of a run's id
SHORT = 12  # the digits that a list shows
WIDEST = 160  # letters of a run's arguments in a list


@commands.callback()
def list_runs(
    context: typer.Context,
    data: DataOption,
    app: Annotated[str | None, typer.Option(help="Only of this app.")] = None,
    state: Annotated[str | None, typer.Option(help="NEW, IN_PROGRESS, DONE or FAILED.")] = None,
    first: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first: the work of the event processor, past and present."""
    if context.invoked_subcommand:
        return
    if state and state.upper() not in STATES:
        raise Rejected(f"{state!r} is not a state of a run: use {', '.join(STATES)}")
    found = run(fetch_runs(data, app=app, state=state and state.upper(), first=first))
    if app and not found:
        run(check_app(data, app, lambda: fetch_runs(data, app=app, first=1)))
    if as_json:
        print_json(found)
        return
    rows = [
        (entry["id"][:SHORT], entry["state"], f"{entry['app']}/{entry['action']}", tries(entry), when(entry))
        for entry in found
    ]
    notes = [
        " · ".join(filter(None, (concerning(entry), entry["error"].get("message") if entry["error"] else "")))
        for entry in found
    ]
    print_table(("RUN", "STATE", "ACTION", "TRY", "WHEN"), rows, empty="No run matches.", notes=notes)


async def fetch_runs(data: Path, *, app: str | None = None, state: str | None = None, first: int = 1000) -> Any:
    async with open_client(data) as client:
        return (await client.graphql(QUERY, {"app": app, "state": state, "first": first}))["runs"]


async def check_app(data: Path, app: str, any_of_it: Callable[[], Awaitable[Any]]) -> None:
    """Raises `NotFound` for an app that is not installed and has no runs at all."""
    if not await any_of_it():
        async with open_client(data) as client:
            await client.ask("GET", f"/apps/{segment(app)}")


def concerning(entry: dict[str, Any]) -> str:
    """Return what a run is about: its event's entity, or else those of its arguments that are texts or numbers."""
    plain_args = (f"{key}={value}" for key, value in entry["args"].items() if isinstance(value, str | int | float))
    return entry["entity"] or textwrap.shorten(" ".join(plain_args), WIDEST, placeholder=" …")


def tries(entry: dict[str, Any]) -> str:
    return f"{entry['attempt']}/{entry['attempts']}"


def when(entry: dict[str, Any]) -> str:
    """Return the last known time of a run, in local time."""
    moment = entry["ended"] or entry["started"] or entry["created"]
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else ""


def steer(query: str, id: str, data: Path) -> str:
    """Retry or dismiss a failed run; `id` may be its beginning. Return the whole id."""

    async def work() -> str:
        whole = id if len(id) >= WHOLE else whole_id(id, await fetch_runs(data, state="FAILED"))
        async with open_client(data) as client:
            await client.graphql(query, {"id": whole})
        return whole

    return run(work())


def steer_all(query: str, app: str | None, trigger: str | None, data: Path) -> int:
    """Retry or dismiss all failed runs; return their number."""

    async def work() -> int:
        async with open_client(data) as client:
            (count,) = (await client.graphql(query, {"app": app, "trigger": trigger})).values()
            return count

    return run(work())


def whole_id(beginning: str, among: Sequence[dict[str, Any]], state: str = "FAILED") -> str:
    """Return the id of the one run that begins so. Raises `NotFound` or `Rejected`. `state`: of the runs in `among`."""
    fitting = [entry["id"] for entry in among if entry["id"].startswith(beginning)]
    kind = "failed run" if state else "run"
    if not fitting:
        lists = "`pcloud runs --state FAILED`" if state else "`pcloud runs`"
        raise NotFound(f"no {kind} begins with {beginning!r}: {lists} lists them")
    if len(fitting) > 1:
        raise Rejected(f"{len(fitting)} {kind}s begin with {beginning!r}: write more of the id")
    return fitting[0]


Id = Annotated[str, typer.Argument(help="The run's id, or a unique beginning of it.")]
IdOrNone = Annotated[str | None, typer.Argument(help="The run's id, or a unique beginning of it; left out with --all.")]
All = Annotated[bool, typer.Option("--all", help="All failed runs.")]
OfApp = Annotated[str | None, typer.Option("--app", help="With --all: of this app only.")]
OfTrigger = Annotated[str | None, typer.Option("--trigger", help="With --all: of this trigger only, APP/TRIGGER.")]


@commands.command()
def show(id: Id, data: DataOption, as_json: AsJson = False) -> None:
    """Show one run: its error with traceback, and what caused it, back to its origin."""

    async def work() -> Any:
        whole = id if len(id) >= WHOLE else whole_id(id, await fetch_runs(data), state="")
        async with open_client(data) as client:
            return (await client.graphql(SHOW, {"id": whole}))["run"]

    entry = run(work())
    if as_json:
        print_json(entry)
        return
    facts.print(
        f"[bold]{plain(entry['app'])}/{plain(entry['action'])}[/] {entry['state']}, try {tries(entry)}, {when(entry)}"
    )
    for name, value in ({name: entry[name] for name in ("id", "trigger", "entity")} | {"by": who(entry)}).items():
        if value:
            facts.print(f"  {name:8} {plain(value)}")
    facts.print(f"  {'args':8} {plain(json.dumps(entry['args'], ensure_ascii=False))}")
    if error := entry["error"]:
        facts.print(f"  [red]{plain(error['code'])}[/] {plain(error['message'])}")
        for text in error.get("traceback", "").splitlines():
            facts.print(f"    [dim]{plain_line(text)}[/]")
    facts.print("  because of, newest first:")
    for link in entry["chain"]:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(link["time"])) if link["time"] else " " * 19
        facts.print(f"    {moment}  {link['kind']:7}  {plain(link['what'])}  [dim]{plain(who(link))}[/]")


@commands.command()
def retry(
    data: DataOption, id: IdOrNone = None, all: All = False, app: OfApp = None, trigger: OfTrigger = None
) -> None:
    """Run a failed run again, or all of them."""
    if one(id, all, app, trigger) is not None:
        console.print(f"[green]✓[/] {steer(RETRY, id or '', data)} runs again")
    else:
        say_count(steer_all(RETRY_ALL, app, trigger, data), "made again")


@commands.command()
def dismiss(
    data: DataOption, id: IdOrNone = None, all: All = False, app: OfApp = None, trigger: OfTrigger = None
) -> None:
    """Take a failed run, or all of them, off the list; nothing is run."""
    if one(id, all, app, trigger) is not None:
        console.print(f"[green]✓[/] {steer(DISMISS, id or '', data)} is dismissed")
    else:
        say_count(steer_all(DISMISS_ALL, app, trigger, data), "dismissed")


def one(id: str | None, all: bool, app: str | None, trigger: str | None) -> str | None:
    """Return the id, or None for all. Raises `Rejected` if it is not clear which."""
    if all == (id is not None):
        raise Rejected("name one run by its id, or use --all")
    if not all and (app or trigger):
        raise Rejected("--app and --trigger go with --all")
    return id


def say_count(count: int, what: str) -> None:
    if count:
        console.print(f"[green]✓[/] {count:,} failed {'run is' if count == 1 else 'runs are'} {what}")
    else:
        console.print("No failed run matches.")


def plain_line(text: str) -> str:
    """Return a line of a traceback with its indentation, but without the node's path to the app's packages."""
    text = PACKAGES.sub('"', text)
    return " " * (len(text) - len(text.lstrip())) + plain(text)


def call(
    target: Annotated[str, typer.Argument(metavar="APP/ACTION", help="The action; APP may be role:ROLE.")],
    data: DataOption,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="The arguments; a VALUE is JSON, otherwise a text."),
    ] = None,
    actions: Annotated[
        list[str] | None,
        typer.Option(
            "--action", metavar="KEY=APP/ACTION", help="An action to hand over, for an argument of the type Action."
        ),
    ] = None,
) -> None:
    """Call an action and print its answer as JSON."""
    if "/" not in target:
        raise Rejected(f"{target!r} is not an action: write APP/ACTION, such as object-store/usage")

    async def work() -> Any:
        async with open_client(data) as client:
            body = {"target": target, "args": parse_arguments(arguments or []), "actions": parse_actions(actions or [])}
            return await client.ask("POST", "/call", json_body=body)

    print_json(run(work())["result"])


def parse_actions(pairs: list[str]) -> dict[str, str]:
    """Parse `['webhook=photos/note']` to `{"webhook": "photos/note"}`. Raises `Rejected` for a malformed pair."""
    split = {pair: pair.partition("=") for pair in pairs}
    for pair, (key, _, action) in split.items():
        if not key or not action:
            raise Rejected(
                f"{pair!r} is not an action: write KEY=APP/ACTION, such as webhook=image-importer/new-object"
            )
    return {key: action for key, _, action in split.values()}


def parse_arguments(pairs: list[str]) -> dict[str, Any]:
    """Parse `['size=3', 'name=Ada']` to `{"size": 3, "name": "Ada"}`. Raises `Rejected` for a malformed pair."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise Rejected(f"{pair!r} is not an argument: write KEY=VALUE, such as image=0190…")
        try:
            parsed[key] = json.loads(value)
        except ValueError:
            parsed[key] = value
    return parsed
