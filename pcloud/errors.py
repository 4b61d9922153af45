"""The single tree of errors, with the status that each has in HTTP.

    PCloudError
    ├── Rejected      the request itself is wrong: malformed, unknown, beyond a limit    400
    ├── NotFound      the named thing does not exist (or not for this caller)            404
    ├── Conflict      the state has changed, or the same key came with another request   409
    ├── Forbidden     the caller has not been granted this                               403
    ├── Unavailable   a part that is needed is unavailable now; a retry may help         503
    └── Corrupt       stored data contradicts itself; a person must look                 500

A message says what was wrong, with what, and what to do. Adapters translate a driver's error into one of these and
chain it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["Conflict", "Corrupt", "Forbidden", "NotFound", "PCloudError", "Rejected", "Unavailable", "error_from_code"]


class PCloudError(Exception):
    """Base of all errors that PCloud reports to a caller; `code` goes into GraphQL's `extensions.code`."""

    code: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else self.code


class Rejected(PCloudError):
    code = "REJECTED"
    http_status = 400


class NotFound(PCloudError):
    code = "NOT_FOUND"
    http_status = 404


class Conflict(PCloudError):
    code = "CONFLICT"
    http_status = 409


class Forbidden(PCloudError):
    code = "FORBIDDEN"
    http_status = 403


class Unavailable(PCloudError):
    code = "UNAVAILABLE"
    http_status = 503


class Corrupt(PCloudError):
    code = "CORRUPT"
    http_status = 500


_BY_CODE: dict[str, type[PCloudError]] = {
    kind.code: kind for kind in (Rejected, NotFound, Conflict, Forbidden, Unavailable, Corrupt)
}


def error_from_code(code: str, message: str) -> PCloudError:
    """The error for the `code` that a peer reported; an unknown code gives the base class."""
    return _BY_CODE.get(code, PCloudError)(message)
