"""How another version of an app differs, according to its manifest: phrases that follow "this version"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.access.grant.wording import spoken
from core.apps.review.limits import size
from pcloud.manifest import Manifest, Resources, Run

__all__ = ["changes_of"]


def changes_of(before: Manifest, after: Manifest, added: Sequence[str], new_inits: Iterable[str]) -> list[str]:
    """`added`: additions to the schema; `new_inits`: the calls that are made once. Never empty."""
    old, new = before.run or Run([]), after.run or Run([])
    found = [f"adds {phrase}" for phrase in added]
    if before.title != after.title:
        found.append(f"calls itself “{after.title or after.name}”, not “{before.title or before.name}”")
    found += _listed(before.provides, after.provides, "provides “{}” to other apps", "no longer provides “{}”")
    found += _listed(old.ports, new.ports, "opens the port {} to apps that may call it", "closes the port {}")
    if old.web != new.web:
        found.append("serves web pages to you" if new.web else "no longer serves web pages")
    found += _named("action", {one.name: one for one in before.actions}, {one.name: one for one in after.actions})
    found += _named("trigger", {one.name: one for one in before.triggers}, {one.name: one for one in after.triggers})
    found += _uses(before, after)
    found += [f"calls {call} once" for call in new_inits]
    found += _limits(before.resources, after.resources)
    if (old.command, old.env) != (new.command, new.env):
        found.append("starts its program differently")
    return found or ["changes its files, and nothing that is listed here"]


def _listed(before: Sequence[str], after: Sequence[str], more: str, less: str) -> Iterator[str]:
    yield from (more.format(spoken(one)) for one in after if one not in before)
    yield from (less.format(spoken(one)) for one in before if one not in after)


def _named(kind: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    yield from (f"adds the {kind} {name}" for name in sorted(after.keys() - before.keys()))
    yield from (
        f"changes the {kind} {name}" for name in sorted(after.keys() & before.keys()) if after[name] != before[name]
    )
    yield from (f"gives up the {kind} {name}" for name in sorted(before.keys() - after.keys()))


def _uses(before: Manifest, after: Manifest) -> Iterator[str]:
    """New grants are decided one by one; changes of network access are listed here too, because they are easily overlooked among them."""
    old, new = ({one for use in manifest.uses for one in use.asked()} for manifest in (before, after))
    yield from (f"asks for the network: {target}" for verb, target in sorted(new - old) if verb == "network")
    yield from (f"no longer asks for {target}" for _, target in sorted(old - new))


def _limits(before: Resources, after: Resources) -> Iterator[str]:
    if before.memory != after.memory:
        yield f"asks for up to {size(after.memory)} of memory, not {size(before.memory)}"
    if before.processes != after.processes:
        yield f"asks for up to {after.processes} processes, not {before.processes}"
    if before.disk != after.disk:
        yield f"asks to store {_room(after.disk)}, not {_room(before.disk)}"
    if before.graph != after.graph:
        yield f"asks to write {_room(after.graph)} into the graph, not {_room(before.graph)}"
    if before.files != after.files:
        yield f"asks to open {_files(after.files)} in each process, not {_files(before.files)}"


def _files(most: int) -> str:
    return f"up to {most} files" if most else "as many files as this machine allows"


def _room(most: int) -> str:
    return f"up to {size(most)}" if most else "as much as there is room for"
