"""What core signs and a browser returns: session cookies, and codes that sign it in.

A statement is not stored and does not decide alone: it names a session or a credential, and the directory says
whether that is valid. So each node that has the cloud's key accepts what another one has signed. A cookie is for one
host; a code is for one host and a short time. A link's code is used up by the session that it begins, since the log
accepts a session's id only once. The code that leads a signed-in browser to an app's origin is valid for the one
browser that asked for it there: it names a secret which only that browser has, in a cookie, so that it needs no
record.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator

__all__ = ["LINK_SECONDS", "WAY_SECONDS", "Statements", "cookies_named", "way_of"]

LINK_SECONDS = 600
ENTRY_SECONDS = 60
WAY_SECONDS = 600
LONGEST_COOKIES = 2**16
MOST_COOKIES = 64


class Statements:
    """`key`: 32 secret bytes of the cloud. `cloud` is part of the cookies' names: browsers ignore ports, so two clouds
    on one machine need two names. A statement is its fields, joined with dots, and the HMAC-SHA-256 of these with
    their purpose, which is not part of the text."""

    def __init__(self, key: bytes, cloud: str, clock: Callable[[], float] = time.time):
        self._key, self._clock = key, clock
        self.cookie = f"pcloud_{hashlib.sha256(cloud.encode()).hexdigest()[:8]}"

    # --- cookies -----------------------------------------------------------------------------------------------------------------

    def session_cookie(self, secure: bool) -> str:
        """The name of the cookie that holds the session, over https (`secure`) or http."""
        return self._named(self.cookie, secure)

    def way_cookie(self, secure: bool) -> str:
        """The name of the cookie that holds the secret of a browser on its way to sign in."""
        return self._named(f"{self.cookie}_way", secure)

    @staticmethod
    def _named(name: str, secure: bool) -> str:
        # Over https a browser accepts this name only for the host itself: a page of a sibling host can't set it.
        return f"__Host-{name}" if secure else name

    def session_value(self, session: str, host: str) -> str:
        """The value of the session's cookie at `host`."""
        return self._sign(session, "session", host)

    def session_in(self, value: str, host: str) -> str:
        """Return the session's id, whether or not it still runs; '' for a value that core has not signed for `host`."""
        return self._read(value, "session", host)

    # --- codes -------------------------------------------------------------------------------------------------------------------

    def link_code(self, host: str, credential: str) -> str:
        """Return a code that begins one session at `host` within ten minutes, if the credential is still the same."""
        return self._sign(f"{secrets.token_hex(16)}.{self._until(LINK_SECONDS)}", "link", host, credential)

    def link_in(self, code: str, host: str, credential: str) -> str:
        """Return the id of the session that it begins; '' for a code that has expired, is for another host, or was made
        with another credential."""
        return self._in_time(self._read(code, "link", host, credential))

    def entry_code(self, host: str, session: str, way: str) -> str:
        """Return a code that takes the session to `host` within a minute, in the browser whose secret has the hash `way`."""
        return self._sign(f"{session}.{self._until(ENTRY_SECONDS)}", "entry", host, way)

    def entry_in(self, code: str, host: str, way: str) -> str:
        """Return the session's id; '' for a code that has expired, or is for another host or another browser."""
        return self._in_time(self._read(code, "entry", host, way))

    # --- signatures --------------------------------------------------------------------------------------------------------------

    def _sign(self, told: str, *purpose: str) -> str:
        return f"{told}.{self._signature(told, *purpose)}"

    def _read(self, statement: str, *purpose: str) -> str:
        told, _, signature = statement.rpartition(".")
        # Ours are ASCII; other bytes of a header may not even be text, and the two are compared as bytes.
        if not statement.isascii() or not hmac.compare_digest(signature, self._signature(told, *purpose)):
            return ""
        return told

    def _signature(self, told: str, *purpose: str) -> str:
        digest = hmac.digest(self._key, json.dumps([*purpose, told]).encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _until(self, seconds: float) -> int:
        return int(self._clock() + seconds)

    def _in_time(self, told: str) -> str:
        id, _, until = told.partition(".")
        return id if until and int(until) > self._clock() else ""


def cookies_named(headers: list[str], name: str) -> Iterator[str]:
    """Yield the values of a request's `Cookie` headers that have this name.

    All of them count: a cookie that a page has set beside ours, for a path or a parent domain, neither signs in nor
    out.
    """
    pairs = (part.partition("=") for header in headers for part in header[:LONGEST_COOKIES].split(";"))
    values = (value.strip() for key, _, value in pairs if key.strip() == name)
    yield from (value for _, value in zip(range(MOST_COOKIES), values, strict=False))


def way_of(secret: str) -> str:
    """Return the hash by which others refer to a browser's secret."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
