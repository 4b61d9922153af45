"""Says in plain words what a grant lets an app do: the owner reads this before deciding.

Names are those that the owner knows: an app's title, a type's name as a noun, and the descriptions of types and actions, quoted from the
app that has them. No text comes from the app that asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pcloud.errors import Rejected
from pcloud.network import is_home, parse_network
from pcloud.subject import TypeName, split_name
from projections.directory import Grant

__all__ = ["Words", "describe", "explain_capability"]

ROLE = "role:"
# A description may be long.
QUOTED = 120
PLURALS = (("[^aeiou]y$", "y$", "ies"), ("(s|x|z|ch|sh)$", "$", "es"), ("$", "$", "s"))


@dataclass(frozen=True, slots=True)
class Words:
    """Texts of installed apps about themselves. `titles`: by app; `types` and `actions`: descriptions by `app/Type` and `app/action`;
    `takers`: those of the actions that take another action. `roles`: the app that holds each.
    Anything without an entry is called by its plain name."""

    titles: Mapping[str, str] = field(default_factory=dict[str, str])
    types: Mapping[str, str] = field(default_factory=dict[str, str])
    actions: Mapping[str, str] = field(default_factory=dict[str, str])
    takers: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict[str, str])

    def app(self, name: str) -> str:
        """Return the app's title, with its name if they differ: an app can't pass for another one with the same title."""
        title = self.titles.get(name) or name
        return title if "-".join(title.lower().split()) == name else f"{title} ({name})"

    def holder(self, target: str) -> tuple[str, str]:
        """Return how to name the app that answers calls to `app` or `role:ROLE`, and the app that does at present ('' if no app does)."""
        if not target.startswith(ROLE):
            return self.app(target), target
        role = target.removeprefix(ROLE)
        if app := self.roles.get(role):
            return f"{self.app(app)}, or the app that replaces it,", app
        return f"whichever app provides “{spoken(role)}”", ""


def describe(grant: Grant, words: Words | None = None) -> str:
    """Return the words after "may", such as "see all images that Image importer keeps (“A picture of yours.”)"."""
    return _SENTENCES[grant.verb](grant, words or Words())


def explain_capability(giver: str, receiver: str, action: str, words: Words | None = None) -> str:
    """Return the words after "it will", about an app that hands `app/action` to a receiver (`app` or `role:ROLE`)."""
    words = words or Words()
    whom, _ = words.holder(receiver)
    owner, name = split_name(action)
    asked = "it" if owner == giver else f"{words.app(owner)}, in its place,"
    return f"let {whom} ask {asked} to “{spoken(name)}” at any time{quoted(words.actions.get(action))}"


def spoken(name: str) -> str:
    """Return `get-object` as words."""
    return name.replace("-", " ").replace("_", " ")


def plural(type_: str) -> str:
    """Return `ImageSegment` as "image segments"."""
    noun = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", type_).replace("_", " ")
    noun = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in noun.split())
    ending = next((old, new) for fits, old, new in PLURALS if re.search(fits, noun))
    return re.sub(ending[0], ending[1], noun, count=1)


def quoted(description: str | None) -> str:
    text = " ".join((description or "").split())
    if not text:
        return ""
    return f" (“{text if len(text) <= QUOTED else text[: QUOTED - 1].rstrip() + '…'}”)"


def _read(grant: Grant, words: Words) -> str:
    return f"see all {_entries(grant, words)}{_fields(grant, words)}{_about(grant, words)}"


def _write(grant: Grant, words: Words) -> str:
    return f"see, add, change and delete all {_entries(grant, words)}{_fields(grant, words)}{_about(grant, words)}"


def _extend(grant: Grant, words: Words) -> str:
    more = "and add information of its own to each"
    return f"see all {_entries(grant, words)}{_fields(grant, words)}, {more}{_about(grant, words)}"


def _call(grant: Grant, words: Words) -> str:
    target, action = split_name(grant.target)
    whom, app = words.holder(target)
    more = ""
    if f"{app}/{action}" in words.takers:
        more = ", and hand over actions that it can ask for from then on"
    return f"ask {whom} to “{spoken(action)}”{quoted(words.actions.get(f'{app}/{action}'))}{more}"


def _network(grant: Grant, words: Words) -> str:
    try:
        network = parse_network(grant.target)
    except Rejected:
        # For an installation from a time when such a thing could be requested.
        return f"use the network “{grant.target}”, which is no longer granted to apps"
    if not network.host:
        return "connect to every host on the internet, but to no machine in your home"
    if network.below:
        return f"connect to every host below {network.host} on the internet (port {network.port})"
    where = "in your home" if is_home(network.host) else "on the internet"
    return f"connect to {network.host} {where} (port {network.port})"


def _entries(grant: Grant, words: Words) -> str:
    name = TypeName.parse(grant.target)
    return f"{plural(name.type)} that {words.app(name.app)} keeps"


def _about(grant: Grant, words: Words) -> str:
    return quoted(words.types.get(grant.target))


def _fields(grant: Grant, words: Words) -> str:
    if not grant.fields:
        return ""
    owners = " and ".join(dict.fromkeys(words.app(split_name(field)[0]) for field in grant.fields))
    return f", with what {owners} added to them ({', '.join(split_name(field)[1] for field in grant.fields)})"


_SENTENCES = {"read": _read, "write": _write, "extend": _extend, "call": _call, "network": _network}
