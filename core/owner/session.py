"""Browser sessions and one-time sign-in links.

A session is a signed statement in a host-only cookie: who, for which host, until when. Each host (core's own, and each app's) has its
own, so no cookie of one is of use at another. Nothing is stored: the key is the node's own, and a new key ends all sessions.
A sign-in code is random, good for one use within its time, and for one host.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

__all__ = ["Sessions", "sign", "verified"]

SESSION_SECONDS = 30 * 86400
CODE_SECONDS = 600
MOST_CODES = 1000
LONGEST_COOKIES = 2**16
MOST_COOKIES = 64


class Sessions:
    """`key`: 32 secret bytes. `cloud`: names the cookie; browsers ignore ports, so two clouds on one machine need two names."""

    def __init__(self, key: bytes, cloud: str):
        self._key = key
        self.cookie = f"pcloud_{hashlib.sha256(cloud.encode()).hexdigest()[:8]}"
        # Over https a browser takes this name only for the host itself: no page of a sibling host can set it.
        self.secure_cookie = f"__Host-{self.cookie}"
        self._codes: dict[str, tuple[str, float]] = {}

    def new_code(self, host: str, seconds: float = CODE_SECONDS) -> str:
        """A code that signs one browser in at `host` once within `seconds`."""
        now = time.time()
        self._codes = {code: entry for code, entry in self._codes.items() if entry[1] > now}
        while len(self._codes) >= MOST_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(24)
        self._codes[code] = (host, now + seconds)
        return code

    def redeem(self, code: str, host: str) -> str | None:
        """The session for a code, or None when it was used, is too old or was made for another host."""
        made_for, until = self._codes.pop(code, ("", 0.0))
        return self.new_session(host) if made_for == host and until > time.time() else None

    def new_session(self, host: str) -> str:
        return sign(self._key, {"sub": "owner", "host": host, "exp": int(time.time()) + SESSION_SECONDS})

    def cookie_name(self, secure: bool) -> str:
        """The cookie's name over https (`secure`) or http."""
        return self.secure_cookie if secure else self.cookie

    def any_holds(self, cookies: list[str], host: str, *, secure: bool) -> bool:
        """Whether one of a request's `Cookie` headers has a running session for `host`.

        All cookies of the name count: one that a page has set beside ours, for a path or a parent domain, neither signs in nor out.
        """
        name = self.cookie_name(secure)
        pairs = (part.partition("=") for header in cookies for part in header[:LONGEST_COOKIES].split(";"))
        values = [value.strip() for key, _, value in pairs if key.strip() == name]
        return any(self.holds(value, host) for value in values[:MOST_COOKIES])

    def holds(self, session: str, host: str) -> bool:
        """Whether a cookie's value is a running session of this cloud for `host`."""
        claims = verified(self._key, session)
        return claims is not None and claims.get("host") == host and claims.get("exp", 0) > time.time()


def sign(key: bytes, claims: dict[str, Any]) -> str:
    """`base64url(claims as JSON).base64url(HMAC-SHA-256)`, without padding."""
    body = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{body}.{_encode(hmac.digest(key, body.encode(), 'sha256'))}"


def verified(key: bytes, text: str) -> dict[str, Any] | None:
    """The claims if the signature is right, else None; whether they have expired is the caller's to see."""
    if not text.isascii():  # as ours are; other bytes of a header may not even be text
        return None
    body, _, signature = text.partition(".")
    expected = _encode(hmac.digest(key, body.encode(), "sha256"))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return None
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
