"""`pcloud backup` and `pcloud restore`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, ask_secret, console, facts, plain, print_json, run
from pcloud.errors import Rejected

__all__ = ["backup", "restore"]

PASSPHRASE = "PCLOUD_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
Place = Annotated[
    str,
    typer.Argument(metavar="DIR", help="The folder with the backups, best on another disk."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help=f"A file with the passphrase. Without it, the variable {PASSPHRASE} has the passphrase, or it is asked for."
    ),
]
Progress = Callable[[str, str], None]


def backup(
    place: Place,
    data: DataOption,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Prove the newest backup: read every byte, and fold its log again. No node has to run."
        ),
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Begin again in a folder that held backups and is empty now.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Back this node's cloud up, encrypted, while the node works; or verify the newest backup."""
    if verify and new:
        raise Rejected("--verify proves the backup that is there: leave out --new")
    secret, typed = read_passphrase(passphrase_file)
    place = absolute(place)
    if typed and not verify and not (Path(place) / "config").exists():
        check_typed(secret)
    done = run(
        followed(
            lambda progress: (
                _verify(place, secret, data, progress) if verify else _take(place, secret, data, new, progress)
            )
        )
    )
    if as_json:
        print_json(msgspec.to_builtins(done))
    elif verify:
        facts.print(
            f"[green]✓[/] the backup of {when(done.taken)} in {plain(place)} is whole: every byte was read, and {done.events:,} events "
            f"fold to the same {done.entities:,} entities ({done.seconds:,.1f} s)"
        )
    else:
        facts.print(
            f"[green]✓[/] backed up to {plain(place)}: {done.events:,} events, {len(done.apps)} apps, {done.files:,} files, "
            f"{size(done.size)}, {size(done.added)} of it new ({done.seconds:,.1f} s; the node stood still for {done.paused:,.2f} s)"
        )


def restore(
    place: Place, data: DataOption, passphrase_file: PassphraseFile = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make the cloud of the newest backup in an empty data folder."""
    secret, _ = read_passphrase(passphrase_file)
    place = absolute(place)

    async def work(progress: Progress) -> Any:
        from core.backup.repository import Repository
        from core.backup.restore import restore_backup

        return await restore_backup(Repository(place, secret), data, progress)

    done = run(followed(work))
    if as_json:
        print_json(msgspec.to_builtins(done))
        return
    facts.print(
        f"[green]✓[/] the cloud of {when(done.taken)} is in {plain(data)}: {done.events:,} events, {done.entities:,} entities, "
        f"{len(done.apps)} apps ({done.seconds:,.1f} s)\nStart it with `pcloud up`; then pair your devices again."
    )


async def _take(place: str, secret: str, data: Path, new: bool, progress: Progress) -> Any:
    from core.backup.repository import Repository
    from core.backup.take import prepare, take_backup

    repository = Repository(place, secret)
    before = await prepare(repository, data, new=new)
    async with open_client(data) as client:
        progress("copying", "the node stands still for a moment")
        async with client.instant_copy() as copy:
            return await take_backup(
                repository, before, Path(copy["root"]), copy["grown"], copy["apps"], data, progress, paused=copy["seconds"]
            )  # fmt: skip


async def _verify(place: str, secret: str, data: Path, progress: Progress) -> Any:
    from core.backup.repository import Repository
    from core.backup.verify import verify_backup

    return await verify_backup(Repository(place, secret), data, progress)


async def followed(work: Callable[[Progress], Any]) -> Any:
    """Show the steps meanwhile."""
    with console.status("…") as status:
        return await work(lambda step, detail: status.update(f"{step} {detail}"))


def read_passphrase(file: Path | None) -> tuple[str, bool]:
    """Return it, and whether it was typed on a terminal. Raises `Rejected` if it can't be read or is empty."""
    if file is not None:
        try:
            secret = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Rejected(f"the passphrase can't be read from {file}: {error}") from error
        if not secret:
            raise Rejected(f"the file {file} is empty: write the passphrase into it")
        return secret, False
    if secret := os.environ.pop(PASSPHRASE, "").strip():
        return secret, False
    otherwise = f"type it, name its file with --passphrase-file, or set {PASSPHRASE}"
    return ask_secret("Passphrase of the backups", otherwise=otherwise), sys.stdin.isatty()


def check_typed(secret: str) -> None:
    """Ask again before the first backup: a mistyped passphrase would make all of them useless. Raises `Rejected`."""
    if ask_secret("The same once more", otherwise="begin again") != secret:
        raise Rejected("the two passphrases differ: begin again")


def absolute(place: str) -> str:
    """restic runs in another folder."""
    return str(Path(place).expanduser().absolute())


def when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def size(count: int) -> str:
    return f"{count / 2**30:,.1f} GB" if count >= 2**30 else f"{count / 2**20:,.1f} MB"
