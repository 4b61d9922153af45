"""Who made an app, as far as that can be known: it comes with PCloud, a key has signed it, or it is unsigned."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from core.apps.signing.signature import Signer
from projections.directory import App

__all__ = ["Author", "changed_author"]

# Characters of a key's end. Its beginning proves nothing: a minisign key begins with a number that its maker may
# choose.
ENDING = 16


@dataclass(frozen=True, slots=True)
class Author:
    """Its text follows "the app", such as "comes with PCloud"."""

    bundled: bool = False
    signer: Signer | None = None

    @classmethod
    def of(cls, app: App) -> Author:
        return cls.stored(app.bundled, app.signer)

    @classmethod
    def stored(cls, bundled: object, signer: object) -> Author:
        """Read the author from the app's entity."""
        return cls(bool(bundled), msgspec.json.decode(str(signer), type=Signer) if signer else None)

    @property
    def known(self) -> bool:
        return self.bundled or self.signer is not None

    def is_same(self, other: Author) -> bool:
        """Return True if both are certainly the same: both come with PCloud, or the same key has signed both."""
        if self.bundled or other.bundled:
            return self.bundled and other.bundled
        keys = [(one.signer.kind, one.signer.key) if one.signer else None for one in (self, other)]
        return keys[0] is not None and keys[0] == keys[1]

    def __str__(self) -> str:
        if self.bundled:
            return "comes with PCloud"
        return f"is signed with the {self.signer.kind} key {self.signer.key}" if self.signer else "is not signed"

    @property
    def short(self) -> str:
        """A short form for small spaces in the interface."""
        if self.bundled or self.signer is None:
            return "comes with PCloud" if self.bundled else "not signed"
        return f"signed by …{self.signer.key[-ENDING:]}"

    def as_dict(self) -> dict[str, Any]:
        signer = asdict(self.signer) if self.signer else None
        return {"bundled": self.bundled, "signer": signer, "text": str(self), "short": self.short}


def changed_author(before: Author, now: Author) -> str:
    """A warning about a version whose author is not the known author of the version before; '' if there is nothing to warn of."""
    if not before.known or now.is_same(before):
        return ""
    unsigned = "IS NOT SIGNED" if now.signer is None else "IS SIGNED WITH ANOTHER KEY"
    what = "DOES NOT COME WITH PCLOUD" if before.bundled else unsigned
    return f"This version {what}: it {now}, and the one before {before}. Install it only if you know why."
