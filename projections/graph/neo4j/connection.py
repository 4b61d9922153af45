"""The driver, with its errors as PCloud's. A server that is not Neo4j 5.26 or later is refused."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import neo4j
from neo4j import exceptions

from pcloud.errors import Corrupt, PCloudError, Rejected, Unavailable
from projections.graph.neo4j.settings import Neo4jSettings

__all__ = ["NEEDED", "TimedOut", "connect", "errors_told", "open_session", "run"]

NEEDED = (5, 26)
_AGENT = re.compile(r"Neo4j/(\d+)\.(\d+)")
_TIMED_OUT = ("TransactionTimedOut", "TransactionTerminated", "Terminated", "LockClientStopped")
_TOO_MUCH = (
    "MemoryPoolOutOfMemory",
    "TransactionOutOfMemory",
    "MemoryLimit",
    "StackOverflow",
    "ArithmeticError",
    "ArgumentError",
)


class TimedOut(Unavailable):
    """The server has ended a transaction that took too long."""


async def connect(settings: Neo4jSettings) -> neo4j.AsyncDriver:
    """A driver whose server answers, accepts this user and has the right version. Raises `Unavailable` or
    `Rejected`."""
    driver = neo4j.AsyncGraphDatabase.driver(  # pyright: ignore[reportUnknownMemberType]
        settings.address,
        auth=(settings.user, settings.password),
        connection_timeout=settings.connect_seconds,
        connection_acquisition_timeout=settings.connect_seconds + 2,
        max_connection_pool_size=32,
        max_transaction_retry_time=0,
        notifications_min_severity="OFF",
        telemetry_disabled=True,
        user_agent="pcloud",
    )
    try:
        with errors_told(settings):
            info = await driver.get_server_info()  # pyright: ignore[reportUnknownMemberType]
        check_version(settings, str(info.agent))
    except BaseException:
        await driver.close()
        raise
    return driver


def open_session(driver: neo4j.AsyncDriver, **options: Any) -> neo4j.AsyncSession:
    """A session of the driver, whose own types are not complete."""
    return driver.session(**options)  # pyright: ignore[reportUnknownMemberType]


async def run(
    on: neo4j.AsyncSession | neo4j.AsyncTransaction, text: str, parameters: Mapping[str, Any] | None = None
) -> neo4j.AsyncResult:
    """Run a statement. Names in its text that are not literal have passed `names.quoted`; values are parameters."""
    return await on.run(cast(LiteralString, text), dict(parameters or {}))


def check_version(settings: Neo4jSettings, agent: str) -> None:
    found = _AGENT.match(agent)
    if found is None or (int(found[1]), int(found[2])) < NEEDED:
        raise Rejected(
            f"the server at {settings.address} is {agent or 'unknown'}, and the graph needs Neo4j {NEEDED[0]}.{NEEDED[1]} or later: "
            "install that one, the graph is filled again from the log"
        )


@contextmanager
def errors_told(settings: Neo4jSettings) -> Generator[None]:
    try:
        yield
    except (exceptions.Neo4jError, exceptions.DriverError, OSError, TimeoutError) as error:
        raise _told(settings, error) from error


def _told(settings: Neo4jSettings, error: Exception) -> PCloudError:
    where = f"the Neo4j server at {settings.address}"
    code: Any = getattr(error, "code", "") or ""
    if "AuthenticationRateLimit" in code:
        return Unavailable(f"{where} accepts no sign-in for a while, after too many with a wrong password: try again")
    if isinstance(error, exceptions.AuthError):
        return Rejected(
            f"{where} does not let {settings.user!r} in: the password is wrong; give the right one by --graph-password-file "
            "or PCLOUD_GRAPH_PASSWORD"
        )
    if any(word in code for word in _TIMED_OUT):
        return TimedOut(f"{where} has ended a transaction that took too long")
    if any(word in code for word in _TOO_MUCH):
        return Rejected(f"the query is beyond a bound of the graph store: {getattr(error, 'message', error)}")
    if isinstance(error, exceptions.Neo4jError) and not isinstance(error, exceptions.TransientError):
        if "ConstraintValidationFailed" in code:
            return Corrupt(f"{where} holds another graph than this program has folded: {error.message}")
        if ".ClientError.Statement." in code or ".ClientError.Security." in code:
            return Rejected(f"{where} refuses what it was asked: {code} {error.message}")
        return Unavailable(f"{where} can't be used now: {error.message}")
    reason, *_ = str(error).splitlines() or [type(error).__name__]
    return Unavailable(f"{where} does not answer: {reason}")
