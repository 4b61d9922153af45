"""`pcloud backup schedule`: the node makes and proves backups by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from core.backup.place import parse_place, read_keys
from core.cli.backup import (
    KeepDaily,
    KeepMonthly,
    KeepWeekly,
    KeysFile,
    PassphraseFile,
    PlainHttp,
    check_typed,
    commands,
    followed,
    read_passphrase,
    when,
)
from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, facts, plain, print_json, run
from core.node.backups.known import Known, known_places
from core.node.backups.schedule import Schedule, check_time, next_at, read_schedule, write_schedule
from pcloud.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from core.backup.repository import StoredBackup

__all__ = ["schedule", "schedule_lines"]

PERIODS = ("day", "week")


@commands.command()
def schedule(
    data: DataOption,
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="A folder, best on another disk, or s3://HOST/BUCKET/PATH.")
    ] = "",
    every: Annotated[str, typer.Option(help="`day`, or `week` for Sundays.")] = "day",
    at: Annotated[str, typer.Option(help="The time of day, as this machine's clock shows it.")] = "03:30",
    verify_days: Annotated[
        int, typer.Option(min=0, help="Prove the newest backup once the last proven one is so many days older.")
    ] = 7,
    keep_daily: KeepDaily = 7,
    keep_weekly: KeepWeekly = 4,
    keep_monthly: KeepMonthly = 12,
    off: Annotated[
        bool, typer.Option("--off", help="Make no more backups, and forget the passphrase and the keys.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    s3_keys: KeysFile = None,
    plain_http: PlainHttp = False,
    as_json: AsJson = False,
) -> None:
    """Have the node make and prove backups by itself; without PLACE, show when.

    The passphrase, and the keys to S3, are stored in the data folder, in a file that only its owner can read.
    """
    if off and place:
        raise Rejected("--off ends the schedule: leave the place out")
    if not data.is_dir():
        raise Rejected(f"there is no cloud in {data}: start it with `pcloud up`, or name its folder with --data")
    if off:
        write_schedule(data, None)
    elif place:
        at_place = parse_place(place, plain_http=plain_http)
        if every not in PERIODS:
            raise Rejected(f"a backup can't be made every {every!r}: write --every {' or --every '.join(PERIODS)}")
        time_of_day = check_time(at)
        secret, typed = read_passphrase(passphrase_file)
        keys = dict(read_keys(at_place, s3_keys))

        async def look(_: Any) -> None:
            """A wrong passphrase, key or place is found now, not in the night."""
            from core.backup.repository import Repository

            repository = Repository(at_place, secret, keys)
            if await repository.exists():
                await _check_cloud(repository.place, await repository.backups(), data)
            elif typed:
                check_typed(secret)

        run(followed(look))
        wanted = Schedule(
            at_place.name, secret, keys, plain_http, "week" if every == "week" else "day", time_of_day, verify_days, keep_daily,
            keep_weekly, keep_monthly,
        )  # fmt: skip
        write_schedule(data, wanted)
    show(data, as_json)


async def _check_cloud(place: str, before: list[StoredBackup], data: Path) -> None:
    """Raises `Rejected` if the place has another cloud's backups; without a running node that is found later, and a notice says it."""
    from core.backup.take import check_cloud

    with suppress(Unavailable):
        async with open_client(data) as client:
            check_cloud(place, before, (await client.ask("GET", "/status"))["cloud"])


def show(data: Path, as_json: bool) -> None:
    import time

    made = read_schedule(data)
    if as_json:
        secret = {"passphrase", "keys"}
        print_json(made and {name: value for name, value in msgspec.to_builtins(made).items() if name not in secret})
    elif made is None:
        facts.print("No schedule: `pcloud backup schedule PLACE` makes one.")
    else:
        known = known_places(data).get(made.place, Known())
        told = {"place": made.place, "next": next_at(made, time.time()), "taken": known.taken, "proven": known.proven}
        for line in schedule_lines(told):
            facts.print(line)


def schedule_lines(told: dict[str, Any]) -> Iterator[str]:
    """`told`: as in the node's status."""
    if not told["taken"]:
        yield f"to {plain(told['place'])}; the first one begins within a minute while the node runs"
        return
    proven = f"the last proven one is from {when(told['proven'])}" if told["proven"] else "none is proven yet"
    yield f"to {plain(told['place'])}: the last one is from {when(told['taken'])}, {proven}; the next one is due {when(told['next'])}"
    if told.get("running"):
        yield "one is being " + ("stored" if told["running"] == "take" else "proven")
