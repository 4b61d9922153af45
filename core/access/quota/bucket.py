"""A token bucket (J. Turner, "New directions in communications", IEEE Communications 1986): so many tokens a second come
in, at most `burst` are kept, and whoever does something takes some out."""

from __future__ import annotations

__all__ = ["Bucket"]


class Bucket:
    """`now`: any clock's seconds, never going back. Holds one number; nothing runs beside it."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, amount: float, now: float) -> float:
        """Take `amount`, at most `burst`, and give 0.0; or leave all of it and give the seconds until it would be
        there."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if amount <= self._tokens:
            self._tokens -= amount
            return 0.0
        return (amount - self._tokens) / self.rate

    def full(self, now: float) -> bool:
        """Whether it says nothing any more that a new one would not."""
        return self._tokens + (now - self._at) * self.rate >= self.burst
