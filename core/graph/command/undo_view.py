"""What may be undone through an app: transactions that were made through it, where everything that their inverse writes is the app's to
write. Of anything else it learns no more than that it can't be undone from there."""

from __future__ import annotations

from collections.abc import Iterable

from core.graph.schema.view import View
from pcloud.errors import Conflict
from pcloud.event import Event, Kind, StoredEvent

__all__ = ["OneView"]


class OneView:
    """`view`: of the app through which somebody undoes."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def app(self) -> str:
        return self._view.app

    def made(self, event: StoredEvent) -> bool:
        """Whether a transaction, one of whose events this is, was made through the app."""
        return event.through == self._view.app

    def demand(self, tx: str, events: Iterable[Event | StoredEvent]) -> None:
        """Raises `Conflict` unless the app may write each of these events."""
        if not all(self._writable(event) for event in events):
            raise self.refusal(tx)

    def refusal(self, tx: str) -> Conflict:
        """For every reason alike: what stands in the way may be nothing that the app should know of."""
        return Conflict(
            f"{tx} can't be undone through {self._view.app}: later changes stand on it, or it takes more along than the app "
            "may write. Undo it in the console or with `pcloud undo`"
        )

    def _writable(self, event: Event | StoredEvent) -> bool:
        """Who may delete an entity as a whole may bring it back as a whole."""
        type_ = self._view.by_stored.get(str(event.ref.type_name))
        if type_ is None or event.kind is not Kind.UPDATED:
            return type_ is not None and type_.deletable
        fields = (type_.by_stored.get(name) for name in event.change.fields)
        return all(field is not None and field.writable for field in fields)
