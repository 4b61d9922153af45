"""Slows wrong credentials down.

A right one is accepted at once, however many wrong ones came before: it has 160 random bits, so it can't be guessed,
and a lock would only keep its owner out. The answer to a wrong one is delayed, which limits what guessing costs this
node. Short codes that a person types would have to be locked after a few tries instead: none exist yet.

The state is in this process's memory. It decides only how long a refusal takes, so each node may have its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable

__all__ = ["Attempts", "network_of"]

MOST_SOURCES = 1_000


class Attempts:
    """For one source and one kind of credential, the first `at_once` wrong ones are answered without a wait, and then
    one every `pace` seconds; a wait is at most `longest` seconds."""

    def __init__(
        self,
        at_once: int = 5,
        pace: float = 1.0,
        longest: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._credit = at_once * pace
        self._pace = pace
        self._longest = longest
        self._clock = clock
        self._turns: dict[tuple[str, str], float] = {}  # when the next wrong one would be answered if none were free

    async def slow(self, source: str | None, credential: str) -> None:
        """Wait until a wrong `credential` (its kind) from `source` (the peer's address) may be answered."""
        await asyncio.sleep(self.wrong(source, credential))

    def wrong(self, source: str | None, credential: str) -> float:
        """Count a wrong one and return the seconds that it has to wait."""
        now, key = self._clock(), (network_of(source), credential)
        turn = max(self._turns.pop(key, 0.0), now) + self._pace
        wait = min(max(0.0, turn - now - self._credit), self._longest)
        if len(self._turns) >= MOST_SOURCES:
            self._turns.pop(next(iter(self._turns)))  # the source that has been quiet for longest
        self._turns[key] = min(turn, now + self._credit + self._longest)
        return wait


def network_of(address: str | None) -> str:
    """Return the network that counts as one party: an IPv4 address, or the /64 of an IPv6 one. The address is
    the connection's; `X-Forwarded-For`, into which a sender can write any other one, counts only from the owner's own proxies."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
