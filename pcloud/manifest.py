"""`app.yaml`: what an application is, asks for, offers and reacts to.

Editors show the descriptions in this module (`pcloud.manifest_schema`), and so does the reference. The rules that hold
between the parts are in `pcloud.manifest_rules`; `pcloud.manifest_file` reads the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "Action", "Backup", "Init", "Manifest", "Resources", "Run", "Trigger", "TriggerOn", "Use", "Verb", "handed_over",
    "split_arguments",
]  # fmt: skip

about = msgspec.Meta
EventKind = Literal["created", "updated", "deleted"]
Verb = Literal["read", "write", "extend", "call", "network"]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    pass


class Use(Struct, frozen=True):
    """One thing that the app asks for: exactly one of read, write, extend, call, network."""

    read: Annotated[str, about(description="A type whose entities the app reads: image-importer/Image.")] = ""
    write: Annotated[str, about(description="A type whose entities the app also creates, changes and deletes.")] = ""
    extend: Annotated[str, about(description="A type to which the app adds fields of its own.")] = ""
    call: Annotated[str, about(description="An action to call: APP/ACTION, or role:ROLE/ACTION.")] = ""
    network: Annotated[
        str | list[str],
        about(
            description='Hosts outside: [smtp.example.org:465], "*.example.org:443", or internet; each is asked for.'
        ),
    ] = ""
    fields: Annotated[list[str], about(description="Fields that other apps added to the type: APP/FIELD.")] = []
    as_: Annotated[str, about(description="Another name for the type in this app's view.")] = msgspec.field(
        default="", name="as"
    )
    optional: Annotated[bool, about(description="The app also works when the owner says no.")] = False
    reason: Annotated[str, about(description="Why, in words for the owner who decides.")] = ""

    def asked(self) -> list[tuple[Verb, str]]:
        """Each thing that the entry asks for."""
        networks = [self.network] if isinstance(self.network, str) else self.network
        texts: list[tuple[Verb, str]] = [
            ("read", self.read), ("write", self.write), ("extend", self.extend), ("call", self.call),
            *(("network", network) for network in networks),
        ]  # fmt: skip
        return [(verb, target) for verb, target in texts if target]


class Action(Struct, frozen=True):
    """Something that the app does when it is called."""

    name: Annotated[str, about(description="Small letters, digits and hyphens: new-object.")]
    args: Annotated[
        dict[str, str], about(description="GraphQL input type by name: {image: ID!}; or Action, which is handed over.")
    ] = {}
    description: Annotated[str, about(description="What it does, for the people who call it.")] = ""
    seconds: Annotated[float, about(description="Time limit of one call in seconds; 60 by default.")] = 60.0
    internal: Annotated[
        bool,
        about(description="PCloud alone calls it: callers-changed, waiting, or forget-caller with {caller: String!}."),
    ] = False


class TriggerOn(Struct, frozen=True):
    """The events that start it."""

    type: Annotated[str, about(description="The type: image-importer/Image.")]
    event: Annotated[EventKind | list[EventKind], about(description="What happened; created by default.")] = "created"
    fields: Annotated[list[str], about(description="For updated: only when one of these fields changed.")] = []
    where: Annotated[dict[str, Any], about(description="A filter as in GraphQL: {mime: {eq: image/jpeg}}.")] = {}


class Trigger(Struct, frozen=True):
    """An action that PCloud runs for each event of a kind."""

    name: Annotated[str, about(description="Small letters, digits and hyphens.")]
    on: Annotated[TriggerOn, about(description="The events that start it.")]
    action: Annotated[str, about(description="An own action, or APP/ACTION, or role:ROLE/ACTION.")]
    args: Annotated[
        dict[str, Any], about(description='Texts are templates: "{{ event.id }}". {action: APP/ACTION} is handed over.')
    ] = {}
    replay: Annotated[Literal["all", "new"], about(description="all: also for what existed before the app.")] = "all"
    concurrency: Annotated[int, about(description="Runs at once; 4 by default.")] = 4
    order: Annotated[
        Literal["none", "entity"], about(description="entity: the events of one entity run one after the other.")
    ] = "none"
    attempts: Annotated[int, about(description="Attempts before the run is FAILED; 5 by default.")] = 5


class Init(Struct, frozen=True):
    """A call that PCloud makes once, when the app has been installed."""

    call: Annotated[str, about(description="An own action, or APP/ACTION, or role:ROLE/ACTION.")]
    args: Annotated[dict[str, Any], about(description="{action: APP/ACTION} hands that action over.")] = {}


class Run(Struct, frozen=True):
    """The app's process."""

    command: Annotated[list[str], about(description="Program and arguments: [python, -m, my_app].")]
    web: Annotated[bool, about(description="It serves pages on 127.0.0.1:$PORT, shown at APP.DOMAIN.")] = False
    env: Annotated[dict[str, str], about(description="Further environment variables.")] = {}
    ports: Annotated[
        list[str], about(description="Ports for apps that may call it: listen on 127.0.0.1:$PORT_S3 for [s3].")
    ] = []


class Resources(Struct, frozen=True):
    """How much of the machine the app may use."""

    memory: Annotated[int, about(description="Bytes, all its processes and its /tmp together; 512 MiB by default.")] = (
        512 * 2**20
    )
    processes: Annotated[int, about(description="Processes and threads at once; 64 by default.")] = 64
    disk: Annotated[
        int, about(description="Bytes of its data folder, 1 GiB by default; 0: as much as the machine has.")
    ] = 2**30
    graph: Annotated[
        int,
        about(
            description="Bytes that it may write into the graph, with all changes; 2 GiB by default; 0: as much as the machine has."
        ),
    ] = 2 * 2**30
    files: Annotated[
        int,
        about(
            description="Files and connections that each of its processes has open at once; 4096 by default; "
            "0: as many as the machine allows."
        ),
    ] = 4096


class Backup(Struct, frozen=True):
    """How the app's data folder is backed up."""

    append_only: Annotated[
        list[str],
        about(
            description="Files of its data folder that are only appended to, or replaced whole: [weed/*.dat]. They are not copied first."
        ),
    ] = []


class Manifest(Struct, frozen=True):
    """An application for PCloud."""

    name: Annotated[str, about(description="Small letters, digits and single hyphens, at most 40 characters.")]
    version: Annotated[str, about(description="Three numbers: 1.0.0 (https://semver.org).")]
    run: Annotated[Run | None, about(description="The app's process.")] = None
    title: Annotated[str, about(description="The app's name for people.")] = ""
    description: Annotated[str, about(description="What it is for, in a few sentences.")] = ""
    schema: Annotated[str, about(description="The file with its GraphQL types: schema.graphql.")] = ""
    provides: Annotated[list[str], about(description="Roles that it holds: [object-storage].")] = []
    uses: Annotated[list[Use], about(description="What it asks for; the owner decides on each.")] = []
    actions: Annotated[list[Action], about(description="What it does when it is called.")] = []
    triggers: Annotated[list[Trigger], about(description="What it does by itself when something happens.")] = []
    init: Annotated[list[Init], about(description="Calls that are made once, after the installation.")] = []
    settings: Annotated[dict[str, Any], about(description="What the owner may set, with its default.")] = {}
    resources: Annotated[Resources, about(description="How much of the machine it may use.")] = Resources()
    backup: Annotated[Backup, about(description="How its data folder is backed up.")] = Backup()


def split_arguments(args: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A manifest's arguments, split into values and the actions that it hands over (`{action: APP/ACTION}`)."""
    values, actions = dict[str, Any](), dict[str, str]()
    for name, value in args.items():
        match value:
            case {"action": str(action), **rest} if not rest:
                actions[name] = action
            case _:
                values[name] = value
    return values, actions


def handed_over(manifest: Manifest) -> list[tuple[str, dict[str, str]]]:
    """The calls of the manifest's init actions and triggers, each with the actions that it hands over, by argument."""
    calls = [(init.call, init.args) for init in manifest.init] + [(one.action, one.args) for one in manifest.triggers]
    return [(called, actions) for called, args in calls if (actions := split_arguments(args)[1])]
