"""`pcloud app install` and `upgrade`: the review on the terminal, then each step as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from core.cli.client import Client, open_client
from core.cli.fetch import fetch_app
from core.cli.terminal import AsJson, DataOption, FilesOption, confirm, console, plain, print_json, run
from pcloud.errors import Conflict, NotFound, Rejected
from pcloud.subject import check_app

__all__ = ["Archive", "install", "show_steps", "upgrade"]

Archive = Annotated[
    Path,
    typer.Argument(help="An archive (.tar.gz, .zip), an app's folder, or the name of an app that comes with PCloud."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Approve every grant.")]
Unconfined = Annotated[
    bool, typer.Option("--unconfined", help="Run an archive that is not one of the bundled apps without a sandbox.")
]
HandOver = Annotated[
    bool, typer.Option("--hand-over", help="Give it the data of another author's app with the same name.")
]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class InstallAnswers:
    """The answers given on the command line. `yes`: approve every grant, and ask nothing."""

    yes: bool = False
    unconfined: bool = False
    hand_over: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What to install: an archive, or with `bundled` the app of that name that comes with the node; its fetched files are
    in `files`."""

    files: Path
    archive: bytes | None = None
    bundled: str = ""

    async def review(self, client: Client) -> dict[str, Any]:
        if not self.bundled:
            return await client.ask("POST", "/apps/review", data=self.archive)
        with suppress(NotFound):  # a node of another version may have other apps
            await asyncio.to_thread(fetch_app, self.bundled, self.files)  # fetched here so that its progress is visible
        return await client.ask("POST", f"/apps/review?bundled={self.bundled}")


def source_at(path: Path, files: Path) -> Source:
    """Return the archive at `path`, or its folder packed, or else the bundled app of that name. Raises `Rejected`."""
    from core.apps import packed

    if path.is_file():
        return Source(files, path.read_bytes())
    if (path / "app.yaml").is_file():
        return Source(files, packed(path).data)
    try:
        return Source(files, bundled=check_app(str(path)))
    except Rejected as error:
        raise Rejected(
            f"there is no archive and no folder with app.yaml at {path}: name one, or an app that comes with PCloud"
        ) from error


def install(
    archive: Archive, data: DataOption, files: FilesOption, yes: Yes = False, unconfined: Unconfined = False, hand_over: HandOver = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what an app asks for, ask for each grant, and install it; upgrade it if another version is installed."""
    begin(archive, data, files, InstallAnswers(yes, unconfined, hand_over), as_json, only_upgrade=False)


def upgrade(
    archive: Archive, data: DataOption, files: FilesOption, yes: Yes = False, unconfined: Unconfined = False, hand_over: HandOver = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what another version of an installed app changes, ask for the new grants, and replace the installed version."""
    begin(archive, data, files, InstallAnswers(yes, unconfined, hand_over), as_json, only_upgrade=True)


def begin(
    archive: Path, data: Path, files: Path, answers: InstallAnswers, as_json: bool, *, only_upgrade: bool
) -> None:
    source = source_at(archive, files)

    async def work() -> Any:
        async with open_client(data) as client:
            return await install_from(client, source, answers, say=console.print, only_upgrade=only_upgrade)

    installed = run(work())
    if as_json:
        print_json(installed)


async def install_from(
    client: Client, source: Source, answers: InstallAnswers, *, say: Say, only_upgrade: bool = False
) -> dict[str, Any]:
    """Review on the terminal, then install with each step shown; first install missing bundled apps, each with
    its own review. Return `{"name", "version", "approved", "rejected"}`."""
    review = await source.review(client)
    if only_upgrade and review["kind"] == "install":
        raise Conflict(f"{review['name']} is not installed: use `pcloud app install`")
    if await install_needed(client, review, source.files, answers.yes, say):
        review = await source.review(client)
    return await install_reviewed(client, review, answers, say)


async def install_needed(client: Client, review: dict[str, Any], files: Path, yes: bool, say: Say) -> bool:
    """Install missing bundled apps, and before each what it lacks itself; return True if there were any."""
    for name in review["needed"]:
        source = Source(files, bundled=name)
        if (needed := await source.review(client))["kind"] == "same":
            continue  # was installed together with another one
        say(f"{plain(review['name'])} needs {plain(name)}, which comes with PCloud:")
        if not yes and not confirm(f"  install {name} first?", default=True, otherwise="`--yes` installs it"):
            raise Rejected(f"{review['name']} is not installed: it can't work without {name}")
        if await install_needed(client, needed, files, yes, say):
            needed = await source.review(client)
        await install_reviewed(client, needed, InstallAnswers(yes), say)
    return bool(review["needed"])


async def install_reviewed(client: Client, review: dict[str, Any], answers: InstallAnswers, say: Say) -> dict[str, Any]:
    name = plain(review["name"])
    if review["kind"] == "same":
        say(f"[green]✓[/] {name} {plain(review['version'])} is already installed from this archive")
        return {"name": review["name"], "version": review["version"], "approved": [], "rejected": []}
    show_review(review, say)
    hand_over = answers.hand_over or handed_over(review, yes=answers.yes)
    asked = [grant for grant in review["grants"] if grant["new"]]
    approved = [grant for grant in asked if allowed(grant, name, yes=answers.yes, say=say)]
    if not asked and not answers.yes and (review["kind"] == "upgrade" or review["warnings"]):
        confirm_unasked(review)
    # Exactly the reviewed bytes are installed.
    query = {
        "archive": review["archive"], "approve": ",".join(grant["id"] for grant in approved),
        "unconfined": str(answers.unconfined).lower(), "hand-over": str(hand_over).lower(),
    }  # fmt: skip
    await show_steps(client, "POST", f"/apps?{urlencode(query)}", say)
    say(f"[green]✓[/] {name} is running")
    words = [grant["text"] for grant in approved]
    rejected = [grant["text"] for grant in asked if grant not in approved]
    return {"name": review["name"], "version": review["version"], "approved": words, "rejected": rejected}


def show_review(review: dict[str, Any], say: Say) -> None:
    version, title = plain(review["version"]), plain(review["title"]) or plain(review["name"])
    over = f" over {plain(review['from_version'])}" if review["kind"] == "upgrade" else ""
    say(f"[bold]{title}[/] {version}{over}  {plain(review['description'])}".rstrip())
    for warning in review["warnings"]:
        say(f"  [bold red]! {plain(warning)}[/]")
    say(f"  · it {plain(review['author']['text'])}{called(review['author']['signer'])}")
    if review["sandbox"] and not review["unconfined"]:
        say(f"  · it will run in a sandbox of its own ({plain(review['sandbox'])})")
    for note in (*review["notes"], *review["resources"]):
        say(f"  · it will {plain(note)}" if note in review["notes"] else f"  · it may {plain(note)}")
    for change in review["changes"]:
        say(f"  · this version {plain(change)}")
    for lack in review["missing"]:
        say(f"  [yellow]! it needs {plain(lack)}[/]")
    if review["unconfined"]:
        say("  [bold yellow]! it will run without a sandbox, with all rights of the user that runs PCloud[/]")


def called(signer: dict[str, Any] | None) -> str:
    """Return the signer's name from beside the signature: anyone may write anything there."""
    return f" (whose holder writes: “{plain(signer['name'])}”)" if signer and signer["name"] else ""


def handed_over(review: dict[str, Any], *, yes: bool) -> bool:
    """Return True if the archive gets the data of another author's app with its name. Raises `Rejected` if the owner says no."""
    if (before := review["takes_from"]) is None or yes:  # without an answer the node refuses
        return False
    here = "was here before, and its data is still stored" if review["left"] else "is here now"
    console.print(f"  [bold red]! another author's app of this name {here}: that app {plain(before['text'])}[/]")
    if confirm("    give its data to this app?", otherwise="`--hand-over` gives it"):
        return True
    name = review["name"]
    raise Rejected(f"{name} is not installed: to forget the other app's data, use `pcloud app remove {name} --forget`")


def confirm_unasked(review: dict[str, Any]) -> None:
    """Without requested grants, an upgrade is still a decision: ask. Raises `Rejected` if the owner says no."""
    if not confirm(f"{review['kind'].capitalize()} {review['name']}?", default=True, otherwise="`--yes` does it"):
        raise Rejected(
            f"{review['name']} is not {'upgraded' if review['kind'] == 'upgrade' else 'installed'}: you said no"
        )


def allowed(grant: dict[str, Any], name: str, *, yes: bool, say: Say) -> bool:
    """Ask the owner about one grant. Raises `Rejected` if the app can't work without a rejected one."""
    need = "optional" if grant["optional"] else "required"
    why = f"\n      because: {plain(grant['reason'])}" if grant["reason"] else ""
    say(f"  · {plain(grant['text'])} [dim]({need})[/]{why}")
    if yes or confirm("    allow?", default=True, otherwise="`--yes` approves every grant"):
        return True
    if not grant["optional"]:
        raise Rejected(f"{name} is not installed: it can't work without what you rejected")
    return False


async def show_steps(client: Client, method: str, path: str, say: Say) -> Any:
    """Show each step; return the result, or raise the error, that comes last."""
    result: Any = None
    async for record in client.lines(method, path):
        if "step" in record:
            say(f"  [dim]{plain(record['step'])}[/] {plain(record['detail'])}".rstrip())
        result = record.get("result", result)
    return result
