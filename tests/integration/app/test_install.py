"""From an archive to a running process and back, on the real log and with real processes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import nats
import nats.errors
import psutil
import pytest

from core.access.grant import grant_id
from core.apps import AppState, read_archive
from core.apps.process.folders import AppFolders
from core.graph.command import EntityChange
from pcloud.errors import Conflict, Forbidden, NotFound, Rejected, Unavailable
from pcloud.subject import Ref
from projections.graph.contract import Select
from tests.integration.app.platform import QUICK, Recorder, approve_all, open_platform
from tests.waiting import PATIENCE, until

NOTES = "type Note { text: String! @search(by: [term]) }"


async def get(address: tuple[str, int]) -> dict[str, str]:
    """Ask until the app listens."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        while True:
            try:
                async with session.get(f"http://{address[0]}:{address[1]}/") as answer:
                    return json.loads(await answer.text())
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)


async def test_an_app_runs_with_exactly_its_environment(platform, make_app, monkeypatch):
    monkeypatch.setenv("CORE_SECRET", "1")
    app = await platform.apps.install(make_app("settings: {size: 3}\n", web=True), approve=approve_all)
    assert app.state is AppState.RUNNING
    seen = await get(platform.apps.web_address("tiny"))
    folders = AppFolders.of(platform.settings.folder, "tiny")
    assert seen["PCLOUD_APP"] == "tiny" and seen["HOME"] == seen["PCLOUD_DATA"] == str(folders.data)
    assert json.loads(seen["PCLOUD_SETTINGS"]) == {"size": 3}
    assert seen["NATS_URL"] == platform.server.url and seen["PCLOUD_URL"].startswith("unix:///")
    assert Path(seen["NATS_NKEY_SEED_FILE"]).stat().st_mode & 0o777 == 0o600
    assert Path(seen["PCLOUD_WEB_KEY_FILE"]).read_bytes() == platform.apps.web_key("tiny")
    assert Path(seen["PATH"].split(":")[0]).is_relative_to(platform.settings.folder / ".environments")
    assert folders.data.stat().st_mode & 0o777 == 0o700
    ours = {
        "PCLOUD_APP",
        "PCLOUD_URL",
        "PCLOUD_DATA",
        "PCLOUD_SETTINGS",
        "PCLOUD_WEB_KEY_FILE",
        "NATS_URL",
        "NATS_NKEY_SEED_FILE",
        "PORT",
    }
    assert set(seen) - ours <= {"PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE", "PYTHONUNBUFFERED", "LC_CTYPE"}


async def test_its_words_are_kept_and_it_is_listed(platform, make_app):
    await platform.apps.install(make_app("title: A tiny app\n"), approve=approve_all)
    async with asyncio.timeout(PATIENCE):
        while not any("args ['tiny']" in line for line in await platform.apps.logs("tiny")):
            await asyncio.sleep(0.02)
    assert any("UNCONFINED" in line for line in await platform.apps.logs("tiny"))
    [status] = await platform.apps.list()
    assert (status.name, status.title, status.state, status.process) == ("tiny", "A tiny app", "RUNNING", "running")
    with pytest.raises(NotFound):
        await platform.apps.logs("other")


async def test_a_crashed_app_is_started_again_at_another_port(platform, make_app):
    await platform.apps.install(make_app(web=True), approve=approve_all)
    first = platform.apps.web_address("tiny")
    await get(first)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://{first[0]}:{first[1]}/die")
    await until(lambda: platform.apps.web_address("tiny") not in (None, first))
    await get(platform.apps.web_address("tiny"))
    assert "lost tiny" in platform.recorder.noted()


async def test_the_app_may_sign_in_on_the_bus_with_its_own_subjects_only(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    seed = str(AppFolders.of(platform.settings.folder, "tiny").bus_seed)
    errors: list[Exception] = []

    async def note(error: Exception) -> None:
        errors.append(error)

    client = await nats.connect(platform.server.url, nkeys_seed=seed, error_cb=note)
    await client.subscribe("call.tiny.>", queue="tiny")
    await client.flush()
    assert errors == []
    await client.subscribe("graph.>")
    await until(lambda: errors)
    assert "permissions violation" in str(errors[0]).lower()
    await platform.apps.remove("tiny")
    await until(lambda: not client.is_connected)
    await client.close()


async def test_the_log_holds_the_app_its_schema_and_each_grant(platform, make_app):
    await platform.apps.install(
        make_app("schema: notes.graphql\n", name="notes", notes__graphql=NOTES), approve=approve_all
    )
    archive = make_app("uses: [{read: notes/Note, as: Memo, reason: to count}, {write: notes/Note, optional: true}]\n")

    async def approve(grants):
        return {grant.id: grant.verb == "read" for grant in grants}

    await platform.apps.install(archive, approve=approve)
    assert "notes/Note" in platform.graph.catalog.types
    rows = await platform.graph.fetch(Select("core/Grant", scalars=("id", "app", "target", "alias", "state")))
    assert {row["id"]: row["state"] for row in rows} == {
        grant_id("tiny", "read", "notes/Note"): "approved", grant_id("tiny", "write", "notes/Note"): "rejected",
    }  # fmt: skip
    event = await platform.store.last_event(Ref("core", "App", "tiny"))
    assert event.change.set["state"] == "RUNNING"
    node = (await platform.graph.entities([Ref("core", "App", "tiny")]))[Ref("core", "App", "tiny")]
    assert node.fields["archive"] == read_archive(archive).sha256 and node.fields["nkey"].startswith("U")


async def test_a_rejected_required_grant_keeps_the_app_out(platform, make_app):
    await platform.apps.install(
        make_app("schema: notes.graphql\n", name="notes", notes__graphql=NOTES), approve=approve_all
    )
    before = await platform.store.last_sequence()

    async def reject(grants):
        return {}

    with pytest.raises(Forbidden, match="requires grants that were rejected: read notes/Note"):
        await platform.apps.install(make_app("uses: [{read: notes/Note}]\n"), approve=reject)
    assert await platform.store.last_sequence() == before


@pytest.mark.parametrize(
    ("more", "files", "words"),
    [
        ("uses: [{call: 'role:object-storage/get-object'}]\n", {}, "an app that provides the role object-storage"),
        ("uses: [{call: other/thing}]\n", {}, "the app other"),
        ("uses: [{read: other/Thing}]\n", {}, "the type other/Thing"),
        ("schema: s.graphql\n", {"s__graphql": "type A { b: Nothing }"}, r"s\.graphql:1:"),
        ("schema: s.graphql\n", {"s__graphql": "type A {"}, r"s\.graphql:1:"),
    ],
)
async def test_what_can_not_be_installed_is_refused_before_anything_changes(platform, make_app, more, files, words):
    before = await platform.store.last_sequence()

    async def never(grants):
        raise AssertionError("the owner is not asked about an app that can't be installed")

    with pytest.raises(Rejected, match=words):
        await platform.apps.install(make_app(more, **files), approve=never)
    assert await platform.store.last_sequence() == before
    assert not (platform.settings.folder / "tiny").exists() or not any((platform.settings.folder / "tiny").iterdir())


async def test_without_a_sandbox_a_foreign_app_has_to_be_asked_for(tmp_path, make_app):
    archive = make_app()
    async with open_platform(tmp_path / "node", unconfined=False, bundled=tmp_path / "sources") as platform:
        own = await platform.apps.install(archive, approve=approve_all)
        assert own.state is AppState.RUNNING
        foreign = make_app(name="foreign")
        (tmp_path / "sources" / "foreign" / "app.py").write_text("changed = 1")
        with pytest.raises(Forbidden, match="--unconfined"):
            await platform.apps.install(foreign, approve=approve_all)
        assert (await platform.apps.install(foreign, approve=approve_all, unconfined=True)).state is AppState.RUNNING


async def test_the_same_archive_again_changes_nothing(platform, make_app):
    archive = make_app()
    await platform.apps.install(archive, approve=approve_all)
    before = await platform.store.last_sequence()
    await platform.apps.install(archive, approve=approve_all)
    assert await platform.store.last_sequence() == before


async def test_a_role_has_one_holder(platform, make_app):
    await platform.apps.install(make_app("provides: [object-storage]\n"), approve=approve_all)
    with pytest.raises(Conflict, match="'object-storage' is held by tiny"):
        await platform.apps.install(make_app("provides: [object-storage]\n", name="other"), approve=approve_all)


async def test_an_app_that_has_pages_and_does_not_listen_is_failed(tmp_path, make_app):
    async with open_platform(tmp_path / "node", supervision=replace(QUICK, start=1.0)) as platform:
        with pytest.raises(Unavailable, match=r"does not listen on 127\.0\.0\.1 at the port"):
            await platform.apps.install(make_app(script="import time; time.sleep(60)", web=True), approve=approve_all)


async def test_an_app_that_does_not_stay_up_is_failed_and_a_repaired_one_takes_its_place(tmp_path, make_app):
    broken = make_app(script="raise SystemExit('there is no camera')")
    # Long enough for Python to start and fail on a busy machine.
    async with open_platform(tmp_path / "node", supervision=replace(QUICK, settle=4.0, start=60.0)) as platform:
        with pytest.raises(Unavailable, match=r"there is no camera"):
            await platform.apps.install(broken, approve=approve_all)
        [status] = await platform.apps.list()
        assert status.state == "FAILED" and "there is no camera" in status.error and status.pid is None
        app = await platform.apps.install(make_app(version="1.0.1"), approve=approve_all)
        assert (app.state, app.version, app.error) == (AppState.RUNNING, "1.0.1", "")


async def test_init_actions_run_in_order(platform, make_app):
    actions = "actions: [{name: one}, {name: two, args: {size: Int}}]\ninit: [{call: one}, {call: tiny/two, args: {size: 2}}]\n"
    await platform.apps.install(make_app(actions), approve=approve_all)
    calls = [line for line in platform.recorder.noted() if line.startswith("init")]
    assert calls == ["init tiny 0 one {}", "init tiny 1 tiny/two {'size': 2}"]


async def test_an_init_action_is_the_same_run_until_the_app_is_removed(platform, make_app):
    archive = make_app("actions: [{name: one}]\ninit: [{call: one}]\n")
    platform.recorder.errors = [Forbidden("not yet")]
    with pytest.raises(Forbidden):
        await platform.apps.install(archive, approve=approve_all)
    await platform.apps.install(archive, approve=approve_all)
    await platform.apps.remove("tiny")
    await platform.apps.install(archive, approve=approve_all)
    first, again, later = platform.recorder.tokens
    assert first == again != later


async def test_an_init_action_that_is_refused_fails_the_installation(platform, make_app):
    platform.recorder.errors = [Forbidden("this bucket is another app's")]
    with pytest.raises(Forbidden, match=r"init action 1 \(one\) of tiny failed: this bucket is another app's"):
        await platform.apps.install(make_app("actions: [{name: one}]\ninit: [{call: one}]\n"), approve=approve_all)
    assert (await platform.apps.get("tiny")).state is AppState.FAILED


async def test_removing_stops_everything_and_keeps_the_data(platform, make_app):
    await platform.apps.install(make_app("schema: s.graphql\n", s__graphql=NOTES, web=True), approve=approve_all)
    folders = AppFolders.of(platform.settings.folder, "tiny")
    (folders.data / "kept").write_text("1")
    [status] = await platform.apps.list()
    await platform.apps.remove("tiny")
    assert await platform.apps.list() == [] and platform.apps.web_address("tiny") is None
    assert not psutil.pid_exists(status.pid)
    assert (
        (folders.data / "kept").exists()
        and not folders.bus_seed.exists()
        and not list((folders.root / "code").iterdir())
    )
    assert "detach tiny" in platform.recorder.noted() and "notes/Note" not in platform.graph.catalog.types
    with pytest.raises(NotFound):
        await platform.apps.remove("tiny")
    await platform.apps.install(make_app("schema: s.graphql\n", s__graphql=NOTES), approve=approve_all, hand_over=True)
    assert (folders.data / "kept").exists()


async def test_an_app_that_others_need_is_not_removed(platform, make_app):
    await platform.apps.install(make_app("schema: s.graphql\n", s__graphql=NOTES), approve=approve_all)
    await platform.apps.install(make_app("uses: [{read: tiny/Note}]\n", name="reader"), approve=approve_all)
    with pytest.raises(Conflict, match="tiny is needed by reader: remove that first"):
        await platform.apps.remove("tiny")
    await platform.apps.remove("reader")
    await platform.apps.remove("tiny")


async def test_a_restarted_node_runs_its_apps_without_their_init_actions(tmp_path, make_app):
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(
            make_app("actions: [{name: one}]\ninit: [{call: one}]\n", web=True), approve=approve_all
        )
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        await until(lambda: platform.apps.web_address("tiny"))
        await get(platform.apps.web_address("tiny"))
        assert [line for line in platform.recorder.noted() if line.startswith("init")] == ["init tiny 0 one {}"]


STEPS = (
    "archive",
    "register",
    "unpack",
    "environment",
    "credentials",
    "consumers",
    "process",
    "settle",
    "init",
    "running",
)


@pytest.mark.parametrize("step", STEPS)
async def test_an_installation_killed_at_any_step_goes_on_at_the_next_start(tmp_path, make_app, step):
    archive = tmp_path / "tiny.tar.gz"
    archive.write_bytes(
        make_app("actions: [{name: one}]\ninit: [{call: one}]\nschema: s.graphql\n", s__graphql=NOTES, web=True)
    )
    kill_at(tmp_path / "node", archive, step)
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        if step == "archive":
            assert await platform.apps.list() == []
            await platform.apps.install(archive.read_bytes(), approve=approve_all)
        assert (await platform.apps.get("tiny")).state is AppState.RUNNING
        await until(lambda: platform.apps.web_address("tiny"))
        await get(platform.apps.web_address("tiny"))
        assert platform.recorder.noted().count("init tiny 0 one {}") >= (step != "running")


async def test_a_removal_that_was_killed_is_finished_at_the_next_start(tmp_path, make_app):
    archive = tmp_path / "tiny.tar.gz"
    archive.write_bytes(make_app())
    kill_at(tmp_path / "node", archive, "remove")
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        assert await platform.apps.list() == []


async def test_what_can_not_be_gone_on_with_at_the_start_is_tried_again(tmp_path, make_app, monkeypatch):
    """Whatever goes wrong, an error of core's own too: no other task would start the app."""
    monkeypatch.setattr("core.apps.process.local.FIRST_PAUSE", 0.01)
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(make_app(), approve=approve_all)
    errors = [RuntimeError("a defect"), Unavailable("the log is away")]
    attach = Recorder.attach

    async def fails(self, app):
        if errors:
            raise errors.pop()
        await attach(self, app)

    monkeypatch.setattr(Recorder, "attach", fails)
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        (status,) = await platform.apps.list()
        assert (status.state, status.error, errors) == ("RUNNING", "", [])


async def test_a_removal_that_can_not_be_finished_at_the_start_is_tried_again(tmp_path, make_app, monkeypatch):
    monkeypatch.setattr("core.apps.process.local.FIRST_PAUSE", 0.01)
    errors = [Unavailable("the log is away")] * 2
    detach = Recorder.detach

    async def fails(self, app, *, forget=False):
        if errors:
            raise errors.pop()
        await detach(self, app)

    monkeypatch.setattr(Recorder, "detach", fails)
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(make_app(), approve=approve_all)
        with pytest.raises(Unavailable):
            await platform.apps.remove("tiny")
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        assert (await platform.apps.list(), errors) == ([], [])


def kill_at(folder: Path, archive: Path, step: str) -> None:
    command = [sys.executable, "-m", "tests.integration.app.platform", str(folder), str(archive), step]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    until_gone = time.monotonic() + 20
    while any(runs_below(process, folder) for process in psutil.process_iter()):
        assert time.monotonic() < until_gone, "an app outlived the node that was killed"
        time.sleep(0.02)


def runs_below(process: psutil.Process, folder: Path) -> bool:
    try:
        return (
            process.environ().get("PCLOUD_DATA", "").startswith(str(folder))
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, OSError):
        return False


async def test_a_lock_is_installed_and_shared_by_apps_that_have_the_same(platform, make_app):
    lock = pinned("idna")
    script = "import sys, idna, pcloud; print('idna from', idna.__file__, pcloud.__file__, flush=True)\nimport time; time.sleep(3600)"
    await platform.apps.install(make_app(script=script, requirements__lock=lock), approve=approve_all)
    await platform.apps.install(make_app(script=script, requirements__lock=lock, name="other"), approve=approve_all)
    [line] = [line for line in await platform.apps.logs("tiny") if "idna from" in line]
    assert line.count(str(platform.settings.folder / ".environments")) == 2
    assert len(list((platform.settings.folder / ".environments").iterdir())) == 1


async def test_a_package_with_another_hash_is_not_installed(platform, make_app):
    lock = "idna==3.10 --hash=sha256:".replace(" --", " \\\n    --") + "0" * 64 + "\n"
    with pytest.raises(Unavailable, match=r"packages can't be installed"):
        await platform.apps.install(make_app(requirements__lock=lock), approve=approve_all)
    assert not list((platform.settings.folder / ".environments").iterdir())


def pinned(name: str) -> str:
    """One package of the project's own lock, with its hashes."""
    text = (Path(__file__).parents[3] / "requirements.lock").read_text()
    start = text.index(f"\n{name}==") + 1
    lines = text[start:].splitlines()
    end = next(n for n, line in enumerate(lines) if n and not line.startswith(" "))
    return "\n".join(line for line in lines[:end] if "# via" not in line and not line.strip().startswith("#")) + "\n"


async def test_what_a_removed_app_left_is_forgotten_later_also_across_a_restart(tmp_path, make_app):
    archive = make_app("schema: s.graphql\n", s__graphql=NOTES)
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.install(archive, approve=approve_all)
        await platform.commands.write("owner", [EntityChange(Ref("tiny", "Note", "one"), "upsert", set={"text": "x"})])
        await platform.apps.remove("tiny")
        assert AppFolders.of(platform.settings.folder, "tiny").data.exists()
        await platform.apps._removals.begin("tiny", forget=True)  # and there the node dies
    async with open_platform(tmp_path / "node") as platform:
        await platform.apps.settled()
        assert not AppFolders.of(platform.settings.folder, "tiny").root.exists()
        assert (await platform.apps.review(archive)).left is None and await platform.apps.list() == []
        await platform.apps.install(archive, approve=approve_all)
        assert await platform.graph.fetch(Select("tiny/Note", ("id",))) == []
        with pytest.raises(NotFound):
            await platform.apps.remove("missing", forget=True)
