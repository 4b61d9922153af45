"""The node makes and proves backups by itself, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from core.access.grant import grant_id
from core.apps import packed
from core.backup.place import parse_place
from core.backup.repository import Repository
from core.node.backups.known import Known, known_places, remember
from core.node.backups.revocations import LIST, Revocations
from core.people.owner.credential import token_hash
from pcloud.errors import PCloudError
from tests.integration.backup.conftest import PASSPHRASE, pcloud, refused
from tests.integration.node.test_devices import asked
from tests.node_process import NodeProcess
from tests.waiting import wait_until

# Stops before the first `restic backup`, and says so; later ones pass.
WAITING = (
    '#!/bin/sh\nif [ "$1" = backup ] && [ ! -e {here} ]; then touch {here}; exec sleep 600; fi\nexec {real} "$@"\n'
)
NOTE = "type Note { text: String! }"
NOTES = "name: notes\nversion: 1.0.0\nschema: schema.graphql\n"
READER = "name: reader\nversion: 1.0.0\nschema: schema.graphql\nuses: [{read: notes/Note, as: Other, optional: true, reason: to count}]\n"
MANIFESTS = {"notes": NOTES, "reader": READER, "writer": NOTES.replace("notes", "writer")}
GRANT = grant_id("reader", "read", "notes/Note")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """With a restic that waits once."""
    folder = tmp_path_factory.mktemp("scheduled")
    bin = folder / "bin"
    bin.mkdir()
    (bin / "restic").write_text(WAITING.format(here=folder / "here", real=shutil.which("restic")))
    (bin / "restic").chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{bin}:{before}"
    try:
        with NodeProcess(folder / "node") as node:
            for name, manifest in MANIFESTS.items():
                (folder / name).mkdir()
                (folder / name / "app.yaml").write_text(manifest)
                (folder / name / "schema.graphql").write_text(NOTE)
                node.install_archive(packed(folder / name).data)
            node.graphql('mutation { addNotes_Note(input: [{text: "dear diary"}]) { count } }')
            yield node
    finally:
        os.environ["PATH"] = before


def known(node: NodeProcess) -> Known:
    return known_places(node.data).get(str(place(node)), Known())


def place(node: NodeProcess) -> Path:
    return node.data.parent / "backups"


def told(node: NodeProcess) -> Any:
    return node.status()["backup"]


def scheduled(node: NodeProcess, *arguments: str) -> None:
    """Planned for an hour ago, so that the next one is not due while the tests run."""
    at = time.strftime("%H:%M", time.localtime(time.time() - 3600))
    done = pcloud(node.data, "backup", "schedule", place(node), "--at", at, *arguments)
    assert done.returncode == 0, done.stderr


def until(node: NodeProcess, condition: Any, what: str) -> None:
    def reached() -> bool:
        if condition():
            return True
        assert not told(node)["failure"], told(node)["failure"]
        return False

    wait_until(reached, what=what)


def a_day_passes(node: NodeProcess) -> None:
    remember(node.data, str(place(node)), taken=known(node).taken - 86400)


def test_backup_cut_by_the_death_of_the_node_is_made_up_and_proven(node: NodeProcess) -> None:
    scheduled(node)
    wait_until((node.data.parent / "here").exists, what="restic to be in the middle of a scheduled backup")
    children = [psutil.Process(pid) for pid in node.children()]
    commands = [" ".join(child.cmdline()) for child in children if child.is_running()]
    assert any("core.cli" in one for one in commands) and not any(PASSPHRASE in one for one in commands)
    node.kill()
    assert known(node).taken == 0
    node.start()
    until(node, lambda: known(node).taken and known(node).proven == known(node).taken, "a backup that is proven")
    assert told(node)["place"] == str(place(node)) and PASSPHRASE not in str(node.status())
    assert PASSPHRASE not in node.log.read_text()
    shown = node.cli("status").stdout
    assert str(place(node)) in shown and "the last proven one" in shown


def test_failed_backup_is_a_notice_until_one_succeeds(node: NodeProcess) -> None:
    """A disk that is not connected."""
    shutil.move(place(node), f"{place(node)}.away")
    a_day_passes(node)
    notices = "{ notices }"
    (notice,) = wait_until(
        lambda: [one for one in node.graphql(notices)["notices"] if one["kind"] == "backup-failed"], what="the notice"
    )
    assert "mounted" in notice["text"] and f"pcloud backup {place(node)}" in notice["advice"]
    shutil.move(f"{place(node)}.away", place(node))
    before = known(node).taken
    scheduled(node, "--keep-daily", "6")  # another schedule begins at once
    wait_until(lambda: known(node).taken > before + 86400 and not told(node)["failure"], what="a backup")


def test_older_backups_are_thinned_out(node: NodeProcess) -> None:
    """All were made today, but for what restic calls a day."""
    repository = Repository(parse_place(str(place(node))), PASSPHRASE)
    assert 1 <= len(asyncio.run(repository.backups())) <= 2


def test_schedule_is_checked_when_it_is_made_and_can_be_ended(node: NodeProcess) -> None:
    said = refused(pcloud(node.data, "backup", "schedule", place(node), passphrase="another"), 5)
    assert "passphrase is not that" in said
    assert pcloud(node.data, "backup", "schedule", "--off").returncode == 0
    assert not list(node.data.glob("backup-schedule*"))
    wait_until(lambda: told(node) is None, what="the node to know")


def newest_list(node: NodeProcess) -> Revocations:
    async def read() -> Revocations:
        repository = Repository(parse_place(str(place(node))), PASSPHRASE)
        newest = (await repository.backups())[-1]
        return msgspec.json.decode(await repository.read(newest, LIST), type=Revocations)

    return asyncio.run(read())


def test_what_was_revoked_since_the_backup_stays_so_after_a_restore(node: NodeProcess) -> None:
    """The machine is lost a moment later, with all of its disk."""
    scheduled(node)
    until(node, lambda: known(node).proven, "the backup")
    taken, old = known(node).taken, node.token
    assert asked(f"{node.address}/graphql", old) == 200
    node.cli("app", "revoke", "reader", GRANT)
    node.cli("app", "remove", "notes", "--forget", "--yes")
    new = node.json("owner", "reset", "--json")["credential"]
    wait_until(
        lambda: (listed := newest_list(node)).owner == token_hash(new) and listed.apps == ["reader", "writer"],
        what="the list beside the backup",
    )
    assert known(node).taken == taken, "it was backed up again"
    assert "dear diary" not in str(newest_list(node))
    node.kill()
    shutil.rmtree(node.data)
    restored = NodeProcess(node.data.parent / "restored")
    done = pcloud(restored.data, "restore", place(node), "--json")
    assert done.returncode == 0, done.stderr
    with restored:
        graphql = f"{restored.address}/graphql"
        assert (asked(graphql, old), asked(graphql, new)) == (401, 200)
        grants = "{ queryCore_Grant { id state } }"
        assert {one["id"]: one["state"] for one in restored.graphql(grants)["queryCore_Grant"]}[GRANT] == "rejected"
        wait_until(
            lambda: {app["name"] for app in restored.status()["apps"]} == {"reader", "writer"},
            what="the app to be removed again",
        )
        assert restored.json("graph", "verify", "--json")["equal"]
        with pytest.raises(PCloudError):
            restored.graphql("{ queryNotes_Note { text } }")
