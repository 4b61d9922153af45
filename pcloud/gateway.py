"""The app's connection to core: HTTP over the app's own unix socket (or a loopback port), and its errors.

Core knows the app by the socket, so requests carry no password. Every request carries the visitor, or the run and the
newest revision of the call being answered, and keeps the revision of the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pcloud.context import USER_HEADER, Seen, current_call, current_visitor
from pcloud.errors import Rejected, Unavailable, error_from_code

if TYPE_CHECKING:
    import aiohttp

__all__ = ["Answer", "Gateway", "backoff", "fail_for"]

ANSWER_BYTES = 64 * 2**20


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Gateway:
    """`patience`: seconds for which requests are retried after the connection is lost (a node restarts in a few
    seconds)."""

    def __init__(self, url: str, *, patience: float = 20.0) -> None:
        scheme, _, rest = url.partition("://")
        if scheme not in ("unix", "http") or not rest:
            raise Rejected(f"PCLOUD_URL is {url!r}: it must be unix:///path/of/the/socket or http://host:port")
        self._socket = rest if scheme == "unix" else ""
        self._base = "http://pcloud" if self._socket else url.rstrip("/")
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._seen = Seen()

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def seen(self) -> Seen:
        """The newest revision seen by the call being answered; outside of a call, by the whole process."""
        return call.seen if (call := current_call()) else self._seen

    def headers(self) -> dict[str, str]:
        """Visitor, run, trace and revision, as every request carries them."""
        call, headers = current_call(), dict[str, str]()
        if visitor := current_visitor():
            headers[USER_HEADER] = visitor
        if call and call.run:
            headers["Pcloud-Run"] = call.run
        if call and call.traceparent:
            headers["traceparent"] = call.traceparent
        if revision := self.seen.revision:
            headers["Pcloud-Revision"] = revision
        return headers

    async def post(
        self, path: str, body: Any, headers: Mapping[str, str], *, timeout: float, repeatable: bool = True
    ) -> Answer:
        """Send JSON and read JSON. A repeatable request is sent again, with the same headers, while the connection is
        lost.

        Any other request is sent again only while no connection could be made. Raises `Unavailable` after that.
        """
        import aiohttp

        data = msgspec.json.encode(body)
        sent = {"Content-Type": "application/json", **self.headers(), **headers}
        give_up = time.monotonic() + self._patience
        for pause in backoff():
            try:
                return await self._post_once(path, data, sent, timeout)
            except aiohttp.ClientConnectorError as error:
                failure = error
            except aiohttp.ClientError as error:
                if not repeatable:
                    raise Unavailable(
                        f"the connection to PCloud was lost during {path}: whether PCloud carried it out is unknown"
                    ) from error
                failure = error
            except TimeoutError as error:
                raise Unavailable(f"PCloud did not answer {path} within {timeout:g} s: try again") from error
            if time.monotonic() + pause > give_up:
                raise Unavailable(f"PCloud can't be reached for {path} ({failure}): is the node running?") from failure
            await asyncio.sleep(pause)
        raise AssertionError("backoff never ends")

    async def _post_once(self, path: str, data: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=timeout)
        async with self.session.post(self._base + path, data=data, headers=headers, timeout=limit) as response:
            raw = await _read_bounded(response.content, path)
        self.seen.note(response.headers.get("Pcloud-Revision", ""))
        try:
            answer = Answer(response.status, msgspec.json.decode(raw, type=dict[str, Any]))
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"PCloud answered {path} with status {response.status} and a body that is not JSON: {raw[:200]!r}"
            ) from error
        self.seen.note(str(answer.body.get("revision") or ""))
        return answer

    def websocket(self, path: str) -> Any:
        """The WebSocket of a subscription (subprotocol graphql-transport-ws), as an async context manager."""
        import aiohttp

        limits: Any = aiohttp.ClientWSTimeout
        return self.session.ws_connect(
            self._base + path, protocols=("graphql-transport-ws",), headers=self.headers(), heartbeat=20.0,
            max_msg_size=ANSWER_BYTES, timeout=limits(ws_close=2.0),
        )  # fmt: skip

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session, made at its first use, because it belongs to the event loop that runs then."""
        if self._session is None:
            import aiohttp

            connector = aiohttp.UnixConnector(self._socket) if self._socket else aiohttp.TCPConnector(limit=100)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session


async def _read_bounded(content: aiohttp.StreamReader, path: str) -> bytes:
    """Read the whole body, at most `ANSWER_BYTES`."""
    parts, size = list[bytes](), 0
    async for part in content.iter_any():
        size += len(part)
        if size > ANSWER_BYTES:
            raise Rejected(f"the answer of {path} is larger than {ANSWER_BYTES >> 20} MiB: ask for less at once")
        parts.append(part)
    return b"".join(parts)


def backoff(first: float = 0.05, most: float = 5.0) -> Iterator[float]:
    """Pauses in seconds that double from `first` to `most`, without end."""
    pause = first
    while True:
        yield pause
        pause = min(pause * 2, most)


def fail_for(answer: Answer) -> None:
    """Raise the error that the answer reports, in GraphQL's form (`errors`) or in core's own (`error`)."""
    errors: list[dict[str, Any]] = answer.body.get("errors") or []
    if first := errors[0] if errors else answer.body.get("error"):
        extensions: dict[str, Any] = first.get("extensions") or {}
        code = str(extensions.get("code") or first.get("code") or "INTERNAL")
        raise error_from_code(code, str(first.get("message") or code))
    if answer.status >= 400:
        raise Unavailable(f"PCloud answered with status {answer.status} and gave no reason")
