"""Names of types and fields as Cypher writes them. Only this file puts a name into the text of a statement.

`image-importer/Image`           the label of a type, with the property id, `_version` and one per scalar field
`image-importer/Album.images`    the relationship type of a relation, from the end that is written to the other
`title~words`, `title~start`     what is stored beside a text to find it: its words, its beginning
`pcloud:View` and the like       the projection's own records; no type is called so, since none has a colon
"""

from __future__ import annotations

import hashlib
import re

from pcloud.errors import Rejected

__all__ = ["Names", "index_name", "quoted"]

# Cypher reads \u0060 as a back-tick before it looks at the quotes, so a name with other characters than these is never
# written.
_SAFE = re.compile(r"[A-Za-z0-9_/.:~@-]{1,400}")


def quoted(name: str) -> str:
    if not _SAFE.fullmatch(name):
        raise Rejected(f"{name[:80]!r} can't be the name of a type or field")
    return f"`{name}`"


def index_name(*parts: str) -> str:
    """A stable name that is short enough for any server."""
    return quoted("pcloud_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24])


class Names:
    """The quoted names of one space. `space`: '' for the projection that answers queries; another one for a version beside
    it."""

    def __init__(self, space: str = "") -> None:
        self._suffix = f"@{space}" if space else ""
        self.view = self._own("View")
        self.any_view = quoted("pcloud:AnyView")  # for every space
        self.tombstone = self._own("Tombstone")
        self.transaction = self._own("Transaction")
        self.commit = self._own("Commit")

    def owns(self, label: str) -> bool:
        """Return True if a label, unquoted, belongs to this space."""
        if self._suffix:
            return label.endswith(self._suffix)
        own = (self.view, self.tombstone, self.transaction, self.commit)
        return "@" not in label and ("/" in label or quoted(label) in own)

    def label(self, type: str) -> str:
        return quoted(type + self._suffix)

    def relation(self, type: str, field: str) -> str:
        return quoted(f"{type}.{field}{self._suffix}")

    def _own(self, name: str) -> str:
        return quoted(f"pcloud:{name}{self._suffix}")
