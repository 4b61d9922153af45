"""`pcloud backup` and `pcloud restore`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from core.backup.place import NEEDED, parse_place, read_keys
from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, ask_secret, console, facts, plain, print_json, run
from pcloud.errors import Rejected

if TYPE_CHECKING:
    from core.backup.repository import Repository

__all__ = ["commands", "restore"]

PASSPHRASE = "PCLOUD_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
Where = Annotated[
    str,
    typer.Argument(
        metavar="PLACE", help="The folder with the backups, best on another disk, or s3://HOST/BUCKET/PATH."
    ),
]
KeysFile = Annotated[
    Path | None,
    typer.Option(
        "--s3-keys", help=f"A file with the keys to S3. Without it, the variables {' and '.join(NEEDED)} have them."
    ),
]
KeepDaily = Annotated[int, typer.Option(min=0, help="Keep the last backup of so many days.")]
KeepWeekly = Annotated[int, typer.Option(min=0, help="Keep the last backup of so many weeks.")]
KeepMonthly = Annotated[int, typer.Option(min=0, help="Keep the last backup of so many months.")]
PlainHttp = Annotated[
    bool, typer.Option("--plain-http", help="Allow s3+http:// to a host that is not in your own network.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        help=f"A file with the passphrase. Without it, the variable {PASSPHRASE} has the passphrase, or it is asked for."
    ),
]
Progress = Callable[[str, str], None]


class Backups(TyperGroup):
    """`pcloud backup PLACE` is short for `pcloud backup now PLACE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["now", *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(cls=Backups, help="Backups of the whole cloud: now, and by a schedule.")


@commands.command("now")
def backup(
    where: Where,
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
    list_file: Annotated[
        Path | None,
        typer.Option(
            "--list", help="Store only this list of what was revoked since the last backup, which the node has made."
        ),
    ] = None,
    keep_daily: KeepDaily = 0,
    keep_weekly: KeepWeekly = 0,
    keep_monthly: KeepMonthly = 0,
    passphrase_file: PassphraseFile = None,
    s3_keys: KeysFile = None,
    plain_http: PlainHttp = False,
    as_json: AsJson = False,
) -> None:
    """Back this node's cloud up, encrypted, while the node works; or verify the newest backup. `now` may be left out.

    Without one of the --keep options, all backups are kept.
    """
    if verify and new:
        raise Rejected("--verify proves the backup that is there: leave out --new")
    secret, typed = read_passphrase(passphrase_file)
    place = parse_place(where, plain_http=plain_http)
    keys = read_keys(place, s3_keys)

    async def work(progress: Progress) -> Any:
        from core.backup.repository import Repository

        repository = Repository(place, secret, keys)
        if list_file is not None:
            return await _store_list(repository, list_file)
        if verify:
            return await _verify(repository, data, progress)
        keep = (keep_daily, keep_weekly, keep_monthly)
        return await _take(repository, data, new, typed, keep if any(keep) else None, progress)

    done = run(followed(work))
    if as_json:
        print_json(msgspec.to_builtins(done))
    elif list_file is not None:
        facts.print(f"[green]✓[/] the list is stored in {plain(place.name)}")
    elif verify:
        facts.print(
            f"[green]✓[/] the backup of {when(done.taken)} in {plain(place.name)} is whole: every byte was read, and "
            f"{done.events:,} events fold to the same {done.entities:,} entities ({done.seconds:,.1f} s)"
        )
    else:
        facts.print(
            f"[green]✓[/] backed up to {plain(place.name)}: {done.events:,} events, {len(done.apps)} apps, {done.files:,} files, "
            f"{size(done.size)}, {size(done.added)} of it new ({done.seconds:,.1f} s; the node stood still for {done.paused:,.2f} s)"
        )


def restore(
    where: Where, data: DataOption, passphrase_file: PassphraseFile = None, s3_keys: KeysFile = None, plain_http: PlainHttp = False,
    before: Annotated[
        str, typer.Option(help="Restore the newest backup from before this time, such as 2026-11-30 or 2026-11-30T14:00.")
    ] = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make the cloud of a backup, the newest one, in an empty data folder.

    What was forgotten or revoked since stays so, as far as a newer backup or list at that place knows it.
    """
    secret, _ = read_passphrase(passphrase_file)
    place = parse_place(where, plain_http=plain_http)
    keys = read_keys(place, s3_keys)

    async def work(progress: Progress) -> Any:
        from core.backup.repository import Repository
        from core.backup.restore import restore_backup

        return await restore_backup(Repository(place, secret, keys), data, progress, before=time_of(before))

    done = run(followed(work))
    if as_json:
        print_json(msgspec.to_builtins(done))
        return
    facts.print(
        f"[green]✓[/] the cloud of {when(done.taken)} is in {plain(data)}: {done.events:,} events, {done.entities:,} entities, "
        f"{len(done.apps)} apps ({done.seconds:,.1f} s)\nStart it with `pcloud up`; then pair your devices again."
    )
    if done.unread:
        console.print(
            f"[bold yellow]warning:[/] the list of what was revoked and forgotten is damaged in what was stored at "
            f"{plain(', '.join(one[:16] for one in done.unread))}: devices, rights and apps that you revoked, and what you forgot, between "
            "the backup and then may be back. Look through `pcloud device list` and `pcloud app list`, and forget it again."
        )


async def _take(
    repository: Repository, data: Path, new: bool, typed: bool, keep: tuple[int, int, int] | None, progress: Progress
) -> Any:
    from core.backup.take import Keep, check_cloud, prepare, take_backup

    before = await prepare(repository, data, new=new)
    if typed and before is None:
        check_typed(repository.passphrase)
    async with open_client(data) as client:
        check_cloud(repository.place, before or [], (await client.ask("GET", "/status"))["cloud"])
        progress("copying", "the node stands still for a moment")
        async with client.instant_copy() as copy:
            return await take_backup(
                repository, before, Path(copy["root"]), copy["grown"], copy["apps"], data, progress, paused=copy["seconds"],
                keep=None if keep is None else Keep(*keep),
            )  # fmt: skip


async def _store_list(repository: Repository, file: Path) -> Any:
    from core.node.backups.revocations import Revocations

    listed = msgspec.json.decode(file.read_bytes(), type=Revocations)  # noqa: ASYNC240 - one look
    await repository.store_list(file, listed.cloud)
    return {"place": repository.place, "listed": len(listed.forgotten)}


async def _verify(repository: Repository, data: Path, progress: Progress) -> Any:
    from core.backup.verify import verify_backup

    return await verify_backup(repository, data, progress)


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


def time_of(text: str) -> datetime | None:
    """In local time, unless it names a zone; None for ''. Raises `Rejected`."""
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except ValueError as error:
        raise Rejected(f"{text!r} is no time: write it as 2026-11-30 or 2026-11-30T14:00") from error


def when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def size(count: int) -> str:
    return f"{count / 2**30:,.1f} GB" if count >= 2**30 else f"{count / 2**20:,.1f} MB"
