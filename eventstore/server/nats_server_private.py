"""What PCloud reads in nats-server's log, the form of which is not documented: all of it is here, and a test says what an
update has changed.

- what was refused to a client: the server reports it in its log alone. A line contains the client's name as the client
  gave it, quoted, and so the subjects. The pattern matches whole lines with their quoting, so that a client can't fake
  another one's denial in its name.
- a stream that could not be written for lack of space: it refuses every write until the server is started again.
- `[FTL]` and `[ERR]` mark the lines that say why a server ended.

The lines' form is that of nats-server 2.15.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Denial", "last_words", "parse_denial", "tells_of_full_disk"]

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    r"\[\d+\] (?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}) \[ERR\] \S+ - cid:\d+"
    # The name, if the client gave one, and then who it is, if it was let in.
    rf'(?: - "(?:[^"\\]|\\.)*")??(?: - "[^"/\\]*/(?:nkey:(?P<nkey>U[A-Z2-7]{{55}})|user:(?P<user>[^"\\]*)|[^"\\]*)")?'
    r" - (?:"
    rf"(?P<what>Publish|Subscription) Violation - (?:(?P<reply>Reply)|Subject) {_QUOTED.replace('(', '(?P<subject>', 1)}.*"
    r"|(?P<signin>authentication error.*)"
    r"|(?P<size>maximum (?:payload|control line) exceeded.*)"
    r"|(?P<number>maximum subscriptions exceeded.*)"
    r")"
)
_FULL = re.compile(
    r"\[\d+\] [\d/]+ [\d:.]+ \[ERR\] JetStream failed to store a msg on stream '[^']*': .*: no space left on device"
)
_SAYS_WHY = ("[FTL]", "[ERR]")


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
    kinds = ("size", "number", "signin", "reply")
    what = (
        next((kind for kind in kinds if found[kind]), "")
        or {"Publish": "publish", "Subscription": "subscribe"}[found["what"]]
    )
    time = datetime.strptime(found["time"], "%Y/%m/%d %H:%M:%S.%f").timestamp()
    if what == "signin":  # not let in, so a text in quotes is only the name that the client gave itself
        return Denial(time, "", "", what, "bus")
    return Denial(time, found["nkey"] or "", found["user"] or "", what, found["subject"] or "bus")


def tells_of_full_disk(line: str) -> bool:
    """True if a line of the log says that a stream could not be written for lack of space."""
    return _FULL.fullmatch(line) is not None


def last_words(lines: Sequence[str]) -> str:
    """Why the server ended, by the last lines that it wrote; '' if there are no lines."""
    telling = [line for line in lines if any(mark in line for mark in _SAYS_WHY)] or lines
    return telling[-1].strip()[-400:] if telling else ""
