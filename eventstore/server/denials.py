"""What nats-server refused its clients, read from its own log, the only place where it reports that.

The lines' form is that of nats-server 2.15. They contain a client's name as the client gave it, quoted, and so the
subjects. The pattern matches whole lines with their quoting, so that a client can't fake another one's denial in its
name. If more is logged than is read, the older part is left out; so is what was rotated away.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from eventstore.server.tail import Tail

__all__ = ["Denial", "follow_denials", "parse_denial"]

LOOK_SECONDS = 0.2
# The most that is read of the log at each look; it is not worth core's time to read a larger flood of denials.
LONGEST_LOOK = 512 * 1024

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    r"\[\d+\] (?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}) \[ERR\] \S+ - cid:\d+"
    rf'(?: - "(?:[^"\\]|\\.)*")?(?: - "[^"/\\]*/(?:nkey:(?P<nkey>U[A-Z2-7]{{55}})|user:(?P<user>[^"\\]*)|[^"\\]*)")?'
    r" - (?:"
    rf"(?P<what>Publish|Subscription) Violation - (?P<reply>Reply )?Subject {_QUOTED.replace('(', '(?P<subject>', 1)}.*"
    r"|(?P<signin>authentication error.*)"
    r"|(?P<size>maximum (?:payload|control line) exceeded.*)"
    r"|(?P<number>maximum subscriptions exceeded.*)"
    r")"
)


@dataclass(frozen=True, slots=True)
class Denial:
    """`nkey` or `user`: the identity that the connection had proved; '' for one that was not let in. `what`: publish,
    reply, subscribe, signin, size or number. `count`: how many equal denials followed each other closely."""

    time: float
    nkey: str
    user: str
    what: str
    subject: str
    count: int = 1


def parse_denial(line: str) -> Denial | None:
    """The denial that a line of the log reports, or None."""
    if (found := _LINE.fullmatch(line)) is None:
        return None
    what = (
        "size"
        if found["size"]
        else "number"
        if found["number"]
        else "signin"
        if found["signin"]
        else "reply"
        if found["reply"]
        else ""
    )
    what = what or {"Publish": "publish", "Subscription": "subscribe"}[found["what"]]
    time = datetime.strptime(found["time"], "%Y/%m/%d %H:%M:%S.%f").timestamp()
    return Denial(time, found["nkey"] or "", found["user"] or "", what, found["subject"] or "bus")


async def follow_denials(path: Path, *, look: float = LOOK_SECONDS) -> AsyncGenerator[list[Denial], None]:
    """Yield what is refused from now on, without end. Continues in the new file when the log is rotated."""
    reader = Tail(path, most=LONGEST_LOOK, newest=True)
    try:
        await asyncio.to_thread(reader.open)
        while True:
            lines = await asyncio.to_thread(reader.lines)
            if denials := gathered(parsed for line in lines if (parsed := parse_denial(line))):
                yield denials
            await asyncio.sleep(look)
    finally:
        reader.close()


def gathered(denials: Iterable[Denial]) -> list[Denial]:
    """Equal denials merged into one with their count, in the order of the first of each."""
    firsts: dict[Denial, Denial] = {}
    counts: Counter[Denial] = Counter()
    for denial in denials:
        key = replace(denial, time=0.0)
        firsts.setdefault(key, denial)
        counts[key] += 1
    return [replace(first, count=counts[key]) for key, first in firsts.items()]
