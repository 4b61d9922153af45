"""`pcloud app show | rollback | pause | resume | restart | remove | grants | grant | revoke`: an app's life."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.cli.client import open_client
from core.cli.install import show_steps
from core.cli.terminal import AsJson, DataOption, confirm, console, facts, plain, print_json, print_table, run
from pcloud.errors import Conflict, NotFound, Rejected

__all__ = ["Name", "grant", "grants", "pause", "remove", "restart", "resume", "revoke", "rollback", "segment", "show"]

Name = Annotated[str, typer.Argument(help="The app's name.")]
Which = Annotated[str, typer.Argument(help="The grant: its id, a unique beginning of it, or its target.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def show(name: Name, data: DataOption, as_json: AsJson = False) -> None:
    """Show one app: its state, grants, triggers, and the steps of its life so far."""
    detail = ask(data, "GET", f"/apps/{segment(name)}")
    if as_json:
        print_json(detail)
        return
    facts.print(f"{plain(detail['title'])}  {plain(detail['name'])} {plain(detail['version'])}  {detail['state']}")
    facts.print(f"  {plain(detail['author'])}")
    if note := detail["error"] or detail["reason"]:
        facts.print(f"  {plain(note)}")
    if before := detail["previous"]:
        facts.print(f"  can go back to {plain(before['version'])}; then {plain('; '.join(before['lost']))}")
    for trigger in detail["triggers"]:
        facts.print(f"  trigger {plain(trigger['trigger'])} on {plain(trigger['type'])}")
    for one in detail["grants"]:
        facts.print(f"  {plain(one['state'])}: {plain(one['text'])}")
    for entry in detail["history"][-12:]:
        what = entry.get("step") or entry.get("state", "")
        facts.print(f"  [dim]{entry['time']}[/] {plain(what)} {plain(entry.get('error'))}".rstrip())


def rollback(name: Name, data: DataOption, yes: Yes = False) -> None:
    """Go back to the version before the last upgrade: its code, its view and its own data folder."""

    async def work() -> Any:
        async with open_client(data) as client:
            detail = await client.ask("GET", f"/apps/{segment(name)}")
            if (before := detail["previous"]) is None:
                raise Conflict(f"{name} {detail['version']} was not upgraded: there is no version to go back to")
            console.print(f"{plain(name)} goes from {plain(detail['version'])} back to {plain(before['version'])}:")
            for loss in before["lost"]:
                console.print(f"  · {plain(loss)}")
            if not yes and not confirm("Go back?", otherwise="`--yes` goes back without asking"):
                raise Rejected(f"{name} stays at {detail['version']}: you said no")
            return await show_steps(client, "POST", f"/apps/{segment(name)}/rollback", console.print)

    result = run(work())
    console.print(f"[green]✓[/] {plain(name)} {plain(result['version'])} is running")


def pause(name: Name, data: DataOption) -> None:
    """Stop an app until it is resumed; its triggers keep their positions."""
    ask(data, "POST", f"/apps/{segment(name)}/pause")
    console.print(f"[green]✓[/] {plain(name)} is paused")


def resume(name: Name, data: DataOption) -> None:
    """Let a paused app continue, or try again to start one that failed."""
    ask(data, "POST", f"/apps/{segment(name)}/resume")
    console.print(f"[green]✓[/] {plain(name)} is running")


def restart(name: Name, data: DataOption) -> None:
    """End an app's process and start it again."""
    ask(data, "POST", f"/apps/{segment(name)}/restart")
    console.print(f"[green]✓[/] {plain(name)} is running")


def remove(
    name: Name,
    data: DataOption,
    yes: Yes = False,
    forget: Annotated[bool, typer.Option("--forget", help="Also forget what it stored, for good.")] = False,
) -> None:
    """Stop and remove an app. Its data is kept, unless --forget is given, which also works after a removal."""
    fate = "What it stored is kept."
    if forget:
        fate = (
            "What it stored is forgotten, for good: its entries, its files, and its buckets with every object in them."
        )
    if not yes and not confirm(f"Remove {name}? {fate}", otherwise="`--yes` removes without asking"):
        raise Rejected(f"{name} is not removed: you said no")

    async def work() -> None:
        async with open_client(data) as client:
            path = f"/apps/{segment(name)}?forget={str(forget).lower()}"
            await show_steps(client, "DELETE", path, console.print if forget else lambda _: None)

    run(work())
    console.print(f"[green]✓[/] {plain(name)} is removed")


def grants(name: Name, data: DataOption, as_json: AsJson = False) -> None:
    """List what an app may do, and what was refused."""
    found = ask(data, "GET", f"/apps/{segment(name)}")["grants"]
    if as_json:
        print_json(found)
        return
    rows = [
        (one["id"][:8], one["state"], one["verb"], one["target"], "optional" if one["optional"] else "")
        for one in found
    ]
    notes = [one["text"] for one in found]
    print_table(("ID", "STATE", "VERB", "TARGET", ""), rows, empty=f"{plain(name)} asks for nothing.", notes=notes)


def grant(name: Name, which: Which, data: DataOption) -> None:
    """Allow an app what was refused or withdrawn."""
    decide(data, name, which, approved=True)


def revoke(name: Name, which: Which, data: DataOption) -> None:
    """Withdraw a grant, with immediate effect; an app that can't work without it is paused."""
    decide(data, name, which, approved=False)


def decide(data: Path, name: str, which: str, *, approved: bool) -> None:
    async def work() -> Any:
        async with open_client(data) as client:
            found = (await client.ask("GET", f"/apps/{segment(name)}"))["grants"]
            one = find_grant(name, which, found)
            path = f"/apps/{segment(name)}/grants/{segment(one['id'])}"
            return one, await client.ask("POST", path, json_body={"approved": approved})

    one, after = run(work())
    can = "may" if approved else "may no longer"
    console.print(f"[green]✓[/] {plain(name)} {can} {plain(one['text'])}")
    if after["error"]:
        console.print(f"  it is {plain(after['state'])}: {plain(after['error'])}")


def find_grant(name: str, which: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    fitting = [one for one in found if one["id"].startswith(which) or one["target"] == which]
    if len(fitting) != 1:
        how = "several grants" if fitting else "no grant"
        raise NotFound(f"{name} has {how} {which!r}: `pcloud app grants {name}` shows them all")
    return fitting[0]


def ask(data: Path, method: str, path: str) -> Any:
    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask(method, path)

    return run(work())


def segment(text: str) -> str:
    """Return a name as one segment of a path, with any characters."""
    return quote(text, safe="")
