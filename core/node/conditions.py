"""The conditions of which a person should know: of this node, of its apps, their runs and their updates, and of the devices.

A sentence here has no numbers that change by the minute where one without says the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import shorten

from core.apps import Apps, AppState, AppStatus
from core.node.backups.conditions import backup_conditions
from core.node.data_version import DataVersion, numbers
from core.node.node import Node
from core.people.notice import NoticeCondition
from core.shipped.changelog import changes_since
from projections.directory import App, Device

__all__ = [
    "app_conditions", "failed_run_conditions", "fill_versions", "node_conditions", "silent_conditions", "update_conditions",
    "updated_conditions", "watch_conditions",
]  # fmt: skip

SILENT_SECONDS = 14 * 86400
UPDATED_SECONDS = 14 * 86400
MOST_CHANGES = 2000  # letters
LONGEST = 400  # letters of an error, which may quote an app's last words
PAUSED_BY_OWNER = "you paused it"
# By kind: what can be done.
ADVICE = {
    "log-stalled": "See that nats-server runs and the disk answers; PCloud continues by itself.",
    "clock-wrong": "Connect this machine to the network, or set its clock; PCloud continues by itself.",
    "disk-full": "Make room on this disk; PCloud continues by itself.",
    "runs-full": "Retry or dismiss failed runs: `pcloud runs --state FAILED`.",
    "graph-away": "See that the graph's server runs; PCloud continues by itself.",
}


def watch_conditions(node: Node, shipped: Mapping[str, str], version: DataVersion) -> None:
    """Have notices made of everything that this file knows. `shipped`: see `update_conditions`."""
    changes = changes_since(version.before) if version.before else []
    directory, seen = node.projections.directory, node.devices.last_seen

    def told(id: str) -> bool:
        notice = directory.records.notices.get(id)
        return notice is not None and not notice.ended

    def titles() -> dict[str, str]:
        return {name: app.title for name, app in directory.records.apps.items()}

    for source in (
        lambda: node_conditions(node.problems),
        lambda: app_conditions(node.apps.statuses()),
        lambda: failed_run_conditions(node.projections.runs.tally, titles()),
        lambda: backup_conditions(node.backups, time.time(), has_apps=bool(directory.records.apps)),
        lambda: update_conditions(directory.records.apps.values(), shipped),
        lambda: updated_conditions(version, changes, time.time()),
        lambda: silent_conditions(directory.records.devices.values(), seen.seen, time.time(), seen.listening, told),
    ):
        node.notices.watch(source)


async def fill_versions(apps: Apps, shipped: dict[str, str]) -> None:
    """Fill in the versions of the apps that come with PCloud; that reads archives, which a start need not wait for."""
    shipped.update({one["name"]: one["version"] for one in await apps.list_bundled()})


def node_conditions(problems: Mapping[str, str]) -> Iterator[NoticeCondition]:
    """`problems`: by kind, why this node accepts no writes or starts no runs; '' where nothing is wrong."""
    for kind, problem in problems.items():
        if problem:
            yield NoticeCondition(kind, "node", sentence(problem), ADVICE.get(kind, ""))


def app_conditions(apps: Iterable[AppStatus]) -> Iterator[NoticeCondition]:
    """At most one for each app."""
    for app in apps:
        about, error = f"app:{app.name}", shorten(app.error or app.reason, LONGEST, placeholder=" …")
        if app.state == AppState.FAILED:
            yield NoticeCondition("app-failed", about, f"{app.title} could not be installed: {error}", again(app))
        elif app.state == AppState.PAUSED and app.error != PAUSED_BY_OWNER:
            yield NoticeCondition("app-paused", about, f"{app.title} was paused: {error}", again(app))
        elif app.state == AppState.RUNNING and app.process == "failed":
            yield NoticeCondition("app-failing", about, f"{app.title} does not stay up: {error}", again(app))
        elif app.state == AppState.RUNNING and app.process == "degraded":
            yield NoticeCondition(
                "app-trouble",
                about,
                f"{app.title}: {error}",
                f"Its log says more: `pcloud app logs {app.name}`.",
                "warning",
            )
        elif app.state == AppState.RUNNING and app.error:
            yield NoticeCondition("app-trouble", about, f"{app.title}: {error}", again(app), "warning")


def again(app: AppStatus) -> str:
    return f"See its log, `pcloud app logs {app.name}`, then try again: `pcloud app resume {app.name}`."


def failed_run_conditions(tally: Mapping[tuple[str, str], int], titles: Mapping[str, str]) -> Iterator[NoticeCondition]:
    """`tally`: the number of runs by app and state."""
    for (app, state), count in sorted(tally.items()):
        if state == "FAILED" and count:
            runs = "One run" if count == 1 else f"{count:,} runs"
            text = f"{runs} of {titles.get(app, app)} failed."
            yield NoticeCondition(
                "runs-failed", f"app:{app}", text, "Retry or dismiss: `pcloud runs --state FAILED`.", "warning"
            )


def update_conditions(apps: Iterable[App], shipped: Mapping[str, str]) -> Iterator[NoticeCondition]:
    """`shipped`: the versions of the apps that come with PCloud, by name."""
    for app in apps:
        new = shipped.get(app.name, "")
        # None: an older PCloud did not record it.
        ours = app.bundled or app.bundled is None
        if ours and app.state is AppState.RUNNING and new and numbers(new) > numbers(app.version):
            text = f"{app.title} {new} comes with this PCloud; {app.version} is installed."
            yield NoticeCondition(
                "update-available", f"app:{app.name}", text, f"Upgrade it: `pcloud app upgrade {app.name}`.", "info"
            )


def updated_conditions(version: DataVersion, changes: Sequence[str], now: float) -> Iterator[NoticeCondition]:
    """For two weeks after an update of PCloud. `changes`: what is new, one sentence each."""
    if version.before and now - version.since < UPDATED_SECONDS:
        about, way = f"pcloud:{version.program}", f"from {version.before} to {version.program}"
        if version.went_back:
            yield NoticeCondition("went-back", about, f"PCloud went back {way}.", "", "info")
        else:
            yield NoticeCondition("updated", about, f"PCloud was updated {way}.", said_in(changes), "info")


def said_in(changes: Sequence[str]) -> str:
    """As many of the sentences as fit into a notice."""
    told = list[str]()
    for change in changes:
        if sum(map(len, told)) + len(change) > MOST_CHANGES:
            return f"{' '.join(told)} And {len(changes) - len(told)} more: CHANGELOG.md."
        told.append(change)
    return " ".join(told)


def silent_conditions(
    devices: Iterable[Device],
    seen: Callable[[Device], float],
    now: float,
    listening: float,
    told: Callable[[str], bool],
) -> Iterator[NoticeCondition]:
    """Of devices that were heard of once: one that only keeps its storage keys is never heard of here. `listening`: for how many
    seconds this node runs. A node that was off has heard of no device, so for a day it reports only what is `told` already."""
    for device in devices:
        last = seen(device)
        if device.state != "active" or not last or now - last < SILENT_SECONDS:
            continue
        day = time.strftime("%Y-%m-%d", time.localtime(last))
        text = f"{device.name} was last heard of on {day}."
        advice = f"Open PCloud on it, or revoke it if it is lost: `pcloud device revoke {device.id}`."
        condition = NoticeCondition("device-silent", f"device:{device.id}", text, advice, "warning")
        if listening >= 86400 or told(condition.id):
            yield condition


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
