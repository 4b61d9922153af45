"""What may be undone through an app: transactions that were made through it, if the app may write everything that the inverse writes.
For any other transaction the app learns only that it can't be undone from there."""

from __future__ import annotations

from collections.abc import Iterable

from core.graph.schema.view import View
from pcloud.errors import Conflict
from pcloud.event import Event, Kind, StoredEvent

__all__ = ["OneView"]


class OneView:
    """`view`: the view of the app through which a person undoes."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def app(self) -> str:
        return self._view.app

    def made(self, event: StoredEvent) -> bool:
        """Return True if a transaction, one of whose events this is, was made through the app."""
        return event.through == self._view.app

    def demand(self, tx: str, events: Iterable[Event | StoredEvent]) -> None:
        """Raises `Conflict` unless the app may write each of these events."""
        if not all(self._writable(event) for event in events):
            raise self.refusal(tx)

    def refusal(self, tx: str) -> Conflict:
        """Return the same error for every reason: the app may not be allowed to know what prevents it."""
        return Conflict(
            f"{tx} can't be undone through {self._view.app}: later changes depend on it, or it changes more than the app "
            "may write. Undo it in the console or with `pcloud undo`"
        )

    def _writable(self, event: Event | StoredEvent) -> bool:
        """A caller that may delete a whole entity may restore a whole entity."""
        type_ = self._view.by_stored.get(str(event.ref.type_name))
        if type_ is None or event.kind is not Kind.UPDATED:
            return type_ is not None and type_.deletable
        fields = (type_.by_stored.get(name) for name in event.change.fields)
        return all(field is not None and field.writable for field in fields)
