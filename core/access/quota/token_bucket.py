"""A token bucket (J. Turner, "New directions in communications", IEEE Communications 1986): a fixed number of tokens a second
come in, at most `burst` are kept, and each use takes some out."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """`now`: any clock's seconds, never going back. Holds one number; needs no background task."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, amount: float, now: float) -> float:
        """Take `amount`, at most `burst`, and return 0.0; or take nothing and return the seconds until it would be
        there."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if amount <= self._tokens:
            self._tokens -= amount
            return 0.0
        return (amount - self._tokens) / self.rate

    def full(self, now: float) -> bool:
        """Return True if it is in the same state as a new one."""
        return self._tokens + (now - self._at) * self.rate >= self.burst
