"""Core's own refusals apart from calls: requests to the API, and archives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.access.audit.log import Audit
from core.access.caller import OWNER, Caller
from pcloud.errors import Forbidden, PCloudError, Rejected

__all__ = ["api_refused", "archive_audited"]


def api_refused(audit: Audit, caller: Caller, errors: Sequence[Mapping[str, Any]]) -> None:
    """Record the errors of one GraphQL answer. Missing permissions are always recorded; invalid requests (a type that is not in the view,
    a query that is too large) only if an app, or the page of one, sent them: people mistype."""
    telling = {Forbidden.code, Rejected.code} if caller.view_app else {Forbidden.code}
    for error in errors:
        if (code := error["extensions"]["code"]) in telling:
            where = ".".join(str(step) for step in error.get("path", ()))
            audit.refused(
                "api", caller.actor, where or "graphql", error["message"], outcome=code, through=caller.through
            )


@asynccontextmanager
async def archive_audited(audit: Audit, sha256: str, actor: str = OWNER.actor) -> AsyncGenerator[None]:
    """Record a refusal of the archive within the block, under its `sha256`."""
    try:
        yield
    except PCloudError as error:
        audit.refused("archive", actor, sha256, error.message, outcome=error.code)
        raise
