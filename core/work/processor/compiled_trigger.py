"""A trigger as the processor uses it: compiled from the manifest once, then asked about every event of its
type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.graph.schema import ViewType
from core.work.call import ActionName, RoleAction, parse_target
from core.work.processor.template import Arguments, compile_arguments
from pcloud.errors import Rejected
from pcloud.event import Kind, StoredEvent
from pcloud.manifest import Manifest, Trigger, split_arguments
from pcloud.subject import TypeName

__all__ = ["CompiledTrigger", "compile_trigger", "compile_triggers"]


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """`target`: as `Calls.resolve` takes it; `label`: app and action under which its runs are recorded. `fields`:
    names as in the manifest; empty: any. `actions`: the actions handed over, by argument."""

    app: str
    name: str
    type: TypeName
    kinds: frozenset[Kind]
    fields: frozenset[str]
    where: Mapping[str, Any]
    arguments: Arguments
    actions: Mapping[str, str]
    target: str
    label: tuple[str, str]
    history: bool
    concurrency: int
    ordered: bool
    attempts: int

    @property
    def key(self) -> str:
        return f"{self.app}/{self.name}"

    def subject(self, only: str = "") -> str:
        """Where its events are: those of all entities of the type, or of the one with the id `only`."""
        return self.type.ref(only).subject if only else self.type.subjects

    @property
    def needs_entity(self) -> bool:
        return bool(self.where or self.arguments.paths)

    def matches(self, event: StoredEvent, seen: ViewType) -> bool:
        """Return True if kind and changed fields match the trigger; `where` is not checked here. `seen`: the type in the app's view.

        An update matches by the fields that the view shows; an update of hidden fields alone matches nothing. A trigger for `deleted`
        matches `forgotten` too.
        """
        kind = Kind.DELETED if event.kind is Kind.FORGOTTEN else event.kind
        if kind not in self.kinds or event.ref.type_name != self.type:
            return False
        if event.kind is not Kind.UPDATED:
            return True
        shown = [(stored, seen.by_stored[stored].name) for stored in event.change.fields if stored in seen.by_stored]
        return any(not self.fields or stored in self.fields or name in self.fields for stored, name in shown)


def compile_triggers(manifest: Manifest) -> list[CompiledTrigger]:
    """Compile all triggers of an app. Raises `Rejected` for one that can't work, naming it."""
    return [compile_trigger(manifest, trigger) for trigger in manifest.triggers]


def compile_trigger(manifest: Manifest, trigger: Trigger) -> CompiledTrigger:
    """Raises `Rejected` for a trigger that can't work, naming it."""
    try:
        return _compile(manifest.name, trigger)
    except Rejected as error:
        raise Rejected(f"the trigger {manifest.name}/{trigger.name}: {error}") from error


def _compile(app: str, trigger: Trigger) -> CompiledTrigger:
    kinds = frozenset(
        Kind(kind) for kind in ([trigger.on.event] if isinstance(trigger.on.event, str) else trigger.on.event)
    )
    # First: a template may make anything from data, but must not hand over an action.
    values, actions = split_arguments(trigger.args)
    arguments = compile_arguments(values)
    if Kind.DELETED in kinds and (trigger.on.where or arguments.paths):
        raise Rejected("a deleted node has no fields: use neither `where` nor `node` with the event deleted")
    target = trigger.action if "/" in trigger.action else f"{app}/{trigger.action}"
    parsed = parse_target(target)
    if isinstance(parsed, ActionName):
        label = (parsed.app, parsed.action)
    elif isinstance(parsed, RoleAction):
        label = (app, parsed.action)
    else:
        raise Rejected("a trigger's action must be one of the app's own, app/action or role:ROLE/action")
    return CompiledTrigger(
        app=app, name=trigger.name, type=TypeName.parse(trigger.on.type), kinds=kinds, fields=frozenset(trigger.on.fields),
        where=trigger.on.where, arguments=arguments, actions=actions, target=target, label=label, history=trigger.replay == "all",
        concurrency=max(1, trigger.concurrency), ordered=trigger.order == "entity", attempts=max(1, trigger.attempts),
    )  # fmt: skip
