"""The rules of a manifest beyond its shape: names, versions, and references between its parts.

This module does not know whether a type or another app exists: core checks that against the installed apps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, get_args

from pcloud.errors import Rejected
from pcloud.manifest import Manifest, Trigger, Use, Verb, split_arguments
from pcloud.network import parse_network
from pcloud.stored_manifest import given_as_text
from pcloud.subject import check_action, check_app, check_field, split_name, type_name
from pcloud.yaml_document import YamlDocument

__all__ = ["ARGUMENT_TYPES", "BOUNDLESS", "LIMITS", "Target", "check_manifest", "parse_target"]

ARGUMENT_TYPES = ("ID", "String", "Int", "Int64", "Float", "Boolean", "DateTime", "JSON", "Action")
VERBS = get_args(Verb)
# The least and the most that one app may use.
LIMITS = {
    "memory": (32 * 2**20, 2**40), "processes": (1, 4096), "disk": (2**20, 2**50), "graph": (2**20, 2**50),
    "files": (64, 2**20),
}  # fmt: skip
# The resources for which 0 means as much as the machine has.
BOUNDLESS = frozenset({"disk", "graph", "files"})
# The actions that PCloud itself calls, with their arguments.
INTERNAL: dict[str, dict[str, str]] = {"callers-changed": {}, "forget-caller": {"caller": "String!"}, "waiting": {}}
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)  # https://semver.org
_ARGUMENT = re.compile(r"(\w+)!?|\[(\w+)!?\]!?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_OURS = re.compile(r"PCLOUD_|NATS_|PORT$|PORT_|HOST_|PATH$|HOME$")
_MOST_PORTS = 8
_MOST_NETWORKS = 32
_MOST_PATTERNS = 16
Path = tuple[str | int, ...]


class Target(NamedTuple):
    """The target of a call: an action of `app`, or of the app that holds `role`."""

    app: str
    role: str
    action: str


def parse_target(text: str) -> Target:
    """Parse `app/action` or `role:ROLE/action`; raises `Rejected`."""
    where, slash, action = text.partition("/")
    if not slash:
        raise Rejected(f"{text!r} is not an action: write app/action or role:ROLE/action")
    if where.startswith("role:"):
        return Target("", check_action(where.removeprefix("role:")), check_action(action))
    return Target(check_app(where, reserved=True), "", check_action(action))


CHECKS: dict[str, Callable[[str], Any]] = {
    "read": type_name, "write": type_name, "extend": type_name, "call": parse_target, "network": parse_network,
}  # fmt: skip


def check_manifest(manifest: Manifest, document: YamlDocument) -> None:
    """Raise `Rejected` for the first broken rule, with its place in the document."""
    _Rules(manifest, document).check()


class _Rules:
    def __init__(self, manifest: Manifest, document: YamlDocument) -> None:
        self.manifest = manifest
        self.document = document
        self.own = {action.name for action in manifest.actions if not action.internal}
        self.called = {use.call for use in manifest.uses if use.call}

    def check(self) -> None:
        manifest = self.manifest
        self.checked(check_app, manifest.name, ("name",))
        if not _VERSION.fullmatch(manifest.version):
            self.document.refuse(
                ("version",), f"'{manifest.version}' is not a version: write three numbers, such as 1.0.0"
            )
        self.check_length(manifest.title, 100, ("title",))
        self.check_length(manifest.description, 2000, ("description",))
        self.check_file(manifest.schema, ("schema",))
        self.check_unique([(role, ("provides", number)) for number, role in enumerate(manifest.provides)], "the role")
        for number, role in enumerate(manifest.provides):
            self.checked(check_action, role, ("provides", number))
        self.check_uses()
        self.check_actions()
        self.check_triggers()
        self.check_init()
        self.check_run()
        self.check_resources()
        self.check_backup()

    def check_uses(self) -> None:
        asked = list[tuple[str, Path]]()
        aliases = list[tuple[str, Path]]()
        for number, use in enumerate(self.manifest.uses):
            path: Path = ("uses", number)
            verbs = [verb for verb in VERBS if getattr(use, verb)]
            if len(verbs) != 1:
                named = ", ".join(verbs) or "none"
                self.document.refuse(path, f"ask for exactly one of {', '.join(VERBS)} in each use, not {named}")
            for place, (verb, target) in enumerate(use.asked()):
                where = (*path, verb, place) if isinstance(getattr(use, verb), list) else (*path, verb)
                asked.append((f"{verb}: {target}", where))
                self.checked(CHECKS[verb], target, where)
            self.check_use(use, verbs[0], path)
            if use.as_:
                aliases.append((f"{verbs[0]} as {use.as_}", (*path, "as")))
        self.check_unique(asked, "the use")
        self.check_unique(aliases, "the name")
        if (networks := sum(name.startswith("network:") for name, _ in asked)) > _MOST_NETWORKS:
            self.document.refuse(("uses",), f"{networks} networks are too many: at most {_MOST_NETWORKS}")

    def check_use(self, use: Use, verb: str, path: Path) -> None:
        if verb in ("call", "network") and (use.fields or use.as_):
            self.document.refuse(path, f"'fields' and 'as' belong to types, not to {verb}")
        if use.as_:
            self.checked(check_field, use.as_, (*path, "as"))
        for number, name in enumerate(use.fields):
            app, _, field = name.partition("/")
            self.checked(check_app, app, (*path, "fields", number))
            self.checked(check_field, field, (*path, "fields", number))

    def check_actions(self) -> None:
        self.check_unique(
            [(one.name, ("actions", n, "name")) for n, one in enumerate(self.manifest.actions)], "the action"
        )
        for number, action in enumerate(self.manifest.actions):
            path: Path = ("actions", number)
            self.checked(check_action, action.name, (*path, "name"))
            self.check_length(action.description, 500, (*path, "description"))
            self.check_range(action.seconds, 0.1, 86_400, (*path, "seconds"))
            if action.internal and INTERNAL.get(action.name) != action.args:
                known = ", ".join(
                    f"{name} with {args}" if args else f"{name} without arguments" for name, args in INTERNAL.items()
                )
                self.document.refuse((*path, "internal"), f"PCloud does not call this action: it calls {known}")
            for name, kind in action.args.items():
                self.checked(check_field, name, (*path, "args", name))
                match = _ARGUMENT.fullmatch(kind)
                if not match or (match[1] or match[2]) not in ARGUMENT_TYPES or match[2] == "Action":
                    known = ", ".join(ARGUMENT_TYPES)
                    self.document.refuse(
                        (*path, "args", name),
                        f"'{kind}' is not an argument type: write one of {known}, with ! if it is needed, [..] for a list, not of Action",
                    )

    def check_triggers(self) -> None:
        self.check_unique(
            [(one.name, ("triggers", n, "name")) for n, one in enumerate(self.manifest.triggers)], "the trigger"
        )
        for number, trigger in enumerate(self.manifest.triggers):
            path: Path = ("triggers", number)
            self.checked(check_action, trigger.name, (*path, "name"))
            self.check_trigger_type(trigger, path)
            self.check_target(trigger.action, (*path, "action"))
            self.check_range(trigger.concurrency, 1, 64, (*path, "concurrency"))
            self.check_range(trigger.attempts, 1, 100, (*path, "attempts"))
            self.check_handed_over(trigger.args, path)

    def check_trigger_type(self, trigger: Trigger, path: Path) -> None:
        place = (*path, "on", "type")
        name = self.checked(type_name, trigger.on.type, place)
        seen = {target for use in self.manifest.uses for target in (use.read, use.write, use.extend) if target}
        if name.app != self.manifest.name and trigger.on.type not in seen:
            self.document.refuse(place, f"the app does not ask to see {name}: add '- read: {name}' under uses")
        events = [trigger.on.event] if isinstance(trigger.on.event, str) else trigger.on.event
        if trigger.on.fields and "updated" not in events:
            self.document.refuse(
                (*path, "on", "fields"), "'fields' is for the event 'updated': add it, or remove 'fields'"
            )
        for number, field in enumerate(trigger.on.fields):
            self.checked(check_field, split_name(field)[1], (*path, "on", "fields", number))

    def check_target(self, target: str, path: Path) -> None:
        """Check that it is an own action, by its name alone or with the app's, or one that the app asks to call."""
        own = target.removeprefix(f"{self.manifest.name}/")
        if "/" not in own:
            if own not in self.own:
                named = ", ".join(sorted(self.own)) or "none yet"
                self.document.refuse(path, f"the app has no action '{own}': add it under actions (there are: {named})")
            return
        self.checked(parse_target, target, path)
        if target not in self.called:
            self.document.refuse(path, f"the app does not ask to call {target}: add '- call: {target}' under uses")

    def check_init(self) -> None:
        for number, init in enumerate(self.manifest.init):
            path: Path = ("init", number)
            self.check_target(init.call, (*path, "call"))
            self.check_handed_over(init.args, path)
            for name, value in init.args.items():
                if action := given_as_text(value):
                    hint = f"to hand an action over, write {name}: {{action: {action}}}"
                    self.document.refuse((*path, "args", name), f"'{value}' is text: {hint}")

    def check_handed_over(self, args: Mapping[str, Any], path: Path) -> None:
        """Only the app's own actions, or those that it asks to call; a role's action may belong to another app
        tomorrow."""
        for name, action in split_arguments(args)[1].items():
            place = (*path, "args", name, "action")
            if not self.checked(parse_target, action, place).app:
                self.document.refuse(place, f"'{action}' can't be handed over: write APP/ACTION")
            self.check_target(action, place)

    def check_run(self) -> None:
        run = self.manifest.run
        if run is None:
            if self.manifest.actions:
                self.document.refuse(
                    ("actions",), "actions need a process that answers them: add 'run: {command: [...]}'"
                )
            return
        if not run.command:
            self.document.refuse(("run", "command"), "the command is empty: write [python, -m, your_package]")
        for name in run.env:
            if not _VARIABLE.fullmatch(name) or _OURS.match(name):
                self.document.refuse(
                    ("run", "env", name), f"the variable '{name}' can't be set: use another name in capitals"
                )

        for number, name in enumerate(run.ports):
            self.checked(check_action, name, ("run", "ports", number))
        self.check_unique([(name, ("run", "ports", number)) for number, name in enumerate(run.ports)], "the port")
        if len(run.ports) > _MOST_PORTS:
            self.document.refuse(("run", "ports"), f"{len(run.ports)} ports are too many: at most {_MOST_PORTS}")

    def check_resources(self) -> None:
        resources = self.manifest.resources
        for name, (least, most) in LIMITS.items():
            if (value := getattr(resources, name)) or name not in BOUNDLESS:
                self.check_range(value, least, most, ("resources", name))

    def check_backup(self) -> None:
        patterns = self.manifest.backup.append_only
        if len(patterns) > _MOST_PATTERNS:
            self.document.refuse(
                ("backup", "append-only"), f"{len(patterns)} patterns are too many: at most {_MOST_PATTERNS}"
            )
        for number, pattern in enumerate(patterns):
            self.check_file(pattern, ("backup", "append-only", number))
            self.check_length(pattern, 200, ("backup", "append-only", number))

    def checked(self, check: Callable[[str], Any], value: str, path: Path) -> Any:
        try:
            return check(value)
        except Rejected as error:
            self.document.refuse(path, error.message)

    def check_unique(self, named: Sequence[tuple[str, Path]], what: str) -> None:
        seen = set[str]()
        for name, path in named:
            if name in seen:
                self.document.refuse(path, f"{what} '{name}' is used twice: remove one, or rename it")
            seen.add(name)

    def check_range(self, value: float, low: float, high: float, path: Path) -> None:
        if not low <= value <= high:
            self.document.refuse(path, f"{value:g} is out of bounds: write a number from {low:g} to {high:g}")

    def check_length(self, text: str, most: int, path: Path) -> None:
        if len(text) > most:
            self.document.refuse(path, f"{len(text)} characters are too many: at most {most}")

    def check_file(self, name: str, path: Path) -> None:
        parts = PurePosixPath(name).parts
        if name and (name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable()):
            self.document.refuse(path, f"'{name}' must be a path inside the app's folder")
