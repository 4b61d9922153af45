"""An app is upgraded and rolled back, on the real log and with real processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.access.grant import grant_id
from core.apps import AppState, packed
from core.apps.process.folders import AppFolders
from core.graph.command import EntityChange
from pcloud.errors import Conflict, Forbidden, NotFound, PCloudError, Rejected, Unavailable
from pcloud.subject import Ref
from projections.graph.contract import Select
from tests.integration.app.platform import QUICK, approve_all, open_platform
from tests.waiting import until

NOTES = "type Note { text: String! @search(by: [term]) }"
MORE = "type Note { text: String! @search(by: [term]) more: Int } type Tag { name: String! }"
MARK = """
import os, pathlib, time
data = pathlib.Path(os.environ["PCLOUD_DATA"])
(data / "seen").write_text((data / "seen").read_text() + "VERSION" if (data / "seen").exists() else "VERSION")
END
"""


@pytest.fixture
def versions(make_app):
    """The archive of one version of `tiny`, which leaves its mark in its data folder."""

    def make(version: str, more: str = "", *, schema: str = NOTES, end: str = "time.sleep(3600)") -> bytes:
        script = MARK.replace("VERSION", f"{version} ").replace("END", end)
        return make_app(f"schema: s.graphql\n{more}", version=version, script=script, s__graphql=schema)

    return make


async def marked(platform, *versions: str) -> None:
    """Wait until exactly these versions have left their marks, in this order."""
    file = AppFolders.of(platform.settings.folder, "tiny").data / "seen"
    await until(lambda: file.exists() and file.read_text().split() == list(versions))


def fields(platform) -> set[str]:
    type_ = platform.graph.catalog.types.get("tiny/Note")
    return set(type_.fields) if type_ else set()


async def never(grants):
    assert grants == [], "the owner is not asked again about decided grants"
    return {}


async def test_an_upgrade_keeps_the_data_and_a_rollback_puts_it_back(platform, versions):
    await platform.apps.install(versions("1.0.0"), approve=approve_all)
    await marked(platform, "1.0.0")
    upgraded = await platform.apps.install(versions("1.1.0", schema=MORE), approve=approve_all)
    assert (upgraded.state, upgraded.version, upgraded.error) == (AppState.RUNNING, "1.1.0", "")
    assert fields(platform) == {"text", "more"}
    await marked(platform, "1.0.0", "1.1.0")
    detail = await platform.apps.detail("tiny")
    assert detail["previous"]["version"] == "1.0.0"
    hidden, folder = detail["previous"]["lost"]
    assert "the field Note.more, the type Tag is not shown any more" in hidden and "its own data folder since" in folder
    back = await platform.apps.rollback("tiny")
    assert (back.state, back.version, back.previous) == (AppState.RUNNING, "1.0.0", None)
    assert fields(platform) == {"text"} and "tiny/Tag" not in platform.graph.catalog.types
    # The older version found its folder as it left it, and has started once more.
    await marked(platform, "1.0.0", "1.0.0")
    with pytest.raises(Conflict, match="there is no version to go back to"):
        await platform.apps.rollback("tiny")
    again = await platform.apps.install(versions("1.1.0", schema=MORE), approve=approve_all)
    assert again.version == "1.1.0" and fields(platform) == {"text", "more"}


async def test_each_step_is_an_event_on_the_app(platform, versions):
    steps: list[str] = []
    await platform.apps.install(versions("1.0.0"), approve=approve_all, progress=lambda step, _: steps.append(step))
    history = (await platform.apps.detail("tiny"))["history"]
    assert [entry["step"] for entry in history] == steps[steps.index("register") :]
    steps.clear()
    await platform.apps.install(versions("1.1.0"), approve=approve_all, progress=lambda step, _: steps.append(step))
    newer = (await platform.apps.detail("tiny"))["history"][len(history) :]
    assert [entry["step"] for entry in newer] == steps[steps.index("stop") :]
    assert [entry["state"] for entry in newer if "state" in entry] == ["UPGRADING", "RUNNING"]


async def test_a_schema_that_does_not_only_add_is_refused_before_anything_changes(platform, versions):
    await platform.apps.install(versions("1.0.0"), approve=approve_all)
    before = await platform.store.last_sequence()
    other = versions("2.0.0", schema="type Note { text: Int! size: Int! }")
    for attempt in (platform.apps.review(other), platform.apps.install(other, approve=never)):
        with pytest.raises(Rejected) as error:
            await attempt
        assert "Note.text was String and is Int; the new field Note.size is required" in str(error.value)
    assert await platform.store.last_sequence() == before


@pytest.mark.parametrize("broken", ["raise SystemExit('there is no camera')", "time.sleep(3600)"])
async def test_a_version_that_does_not_work_is_taken_back_by_itself(tmp_path, versions, broken):
    """It does not stay up, or its new init action is refused."""
    async with open_platform(tmp_path / "node", supervision=replace(QUICK, settle=2.0, start=60.0)) as platform:
        await platform.apps.install(versions("1.0.0"), approve=approve_all)
        await marked(platform, "1.0.0")
        await platform.apps.install(versions("1.1.0"), approve=approve_all)
        await marked(platform, "1.0.0", "1.1.0")
        init = "actions: [{name: one}]\ninit: [{call: one}]\n"
        if "sleep" in broken:
            platform.recorder.errors = [Forbidden("there is no camera")]
        with pytest.raises(PCloudError, match=r"tiny 2\.0\.0 did not work, 1\.1\.0 runs again: .*there is no camera"):
            await platform.apps.install(versions("2.0.0", init, schema=MORE, end=broken), approve=approve_all)
        app = await platform.apps.get("tiny")
        assert (app.state, app.version) == (AppState.RUNNING, "1.1.0")
        assert "2.0.0 did not work and was rolled back" in app.error and "no camera" in app.error
        assert fields(platform) == {"text"}
        await marked(platform, "1.0.0", "1.1.0", "1.1.0")
        assert app.previous and app.previous.version == "1.0.0", "the way back from before is still there"
        assert (await platform.apps.rollback("tiny")).version == "1.0.0"
        await marked(platform, "1.0.0", "1.0.0")


def with_more(kind: str) -> str:
    return f"type Folder {{ name: String! }} type Note {{ text: String! @search(by: [term]) more: {kind} }}"


async def test_what_a_removed_app_left_is_not_made_into_something_else(platform, versions):
    """The data is kept, so the next version is checked against the schemas under which the data was stored."""
    await platform.apps.install(versions("1.0.0"), approve=approve_all)
    await platform.apps.install(versions("1.1.0", schema=with_more("Int")), approve=approve_all)
    await platform.apps.rollback("tiny")
    await platform.apps.remove("tiny")
    for wrong, why in (
        (with_more("String"), "Note.more was Int and is String"),
        (MORE.replace("more: Int", "more: Int folder: Tag!"), "Note.folder is required and has no default"),
        ("type Note { text: Int! }", "Note.text was String and is Int"),
    ):
        other = versions("2.0.0", schema=wrong)
        for attempt in (platform.apps.review(other), platform.apps.install(other, approve=approve_all)):
            with pytest.raises(Rejected, match=why):
                await attempt
    assert not await platform.apps.list()
    # A version without some of it may come, and those after it are held to it still.
    shorter = versions("1.2.0", schema="type Note { title: String }")
    await platform.apps.install(shorter, approve=approve_all, hand_over=True)
    for wrong, why in (
        (with_more("String"), "more was Int"),
        ("type Note { title: String text: String! }", "text is req"),
    ):
        with pytest.raises(Rejected, match=why):
            await platform.apps.install(
                versions("2.0.0", schema=wrong.replace("{ text", "{ title: String text")), approve=never
            )
    await platform.apps.remove("tiny", forget=True)
    await platform.apps.install(versions("2.0.0", schema=with_more("String")), approve=approve_all)
    assert fields(platform) == {"text", "more"}


@pytest.mark.parametrize("written", [False, True])
async def test_a_version_that_failed_binds_the_next_one_only_by_what_was_written_under_it(tmp_path, versions, written):
    async with open_platform(tmp_path / "node", supervision=replace(QUICK, settle=0.1)) as platform:
        await platform.apps.install(versions("1.0.0"), approve=approve_all)
        init = "actions: [{name: one}]\ninit: [{call: one}]\n"
        note = EntityChange(
            Ref("tiny", "Note", "one"), "upsert", set={"text": "one", **({"more": 1} if written else {})}
        )

        async def fail(*args, **options):
            await platform.commands.write("app/tiny", [note])
            raise Forbidden("there is no camera")

        platform.recorder.run_init = fail
        with pytest.raises(PCloudError, match="there is no camera"):
            await platform.apps.install(versions("1.1.0", init, schema=with_more("Int")), approve=approve_all)
        assert fields(platform) == {"text"}
        other = versions("1.2.0", schema=with_more("String"))
        if written:
            with pytest.raises(Rejected, match="more was Int and is String"):
                await platform.apps.install(other, approve=approve_all)
        else:
            assert (await platform.apps.install(other, approve=approve_all)).version == "1.2.0"


async def test_an_upgrade_asks_only_for_what_is_new(platform, make_app):
    await platform.apps.install(make_app("schema: s.graphql\n", name="notes", s__graphql=NOTES), approve=approve_all)
    first = make_app("uses: [{read: notes/Note}, {network: 'smtp.example.org:465', optional: true}]\n")
    granted = grant_id("tiny", "read", "notes/Note")

    async def only_notes(grants):
        return {grant.id: grant.id == granted for grant in grants}

    await platform.apps.install(first, approve=only_notes)
    second = make_app(
        "uses: [{read: notes/Note}, {network: 'smtp.example.org:465', optional: true}, {network: 'api.example.org:443'}]\n",
        version="1.1.0",
    )
    shown = (await platform.apps.review(second)).as_dict()
    assert (shown["kind"], shown["from_version"]) == ("upgrade", "1.0.0")
    assert {grant["target"]: (grant["state"], grant["new"]) for grant in shown["grants"]} == {
        "notes/Note": ("approved", False), "smtp.example.org:465": ("rejected", False), "api.example.org:443": ("pending", True),
    }  # fmt: skip
    asked = []

    async def ask(grants):
        asked.extend(grant.target for grant in grants)
        return {grant.id: True for grant in grants}

    await platform.apps.install(second, approve=ask)
    assert asked == ["api.example.org:443"]
    third = make_app("uses: [{read: notes/Note}]\n", version="1.2.0")
    await platform.apps.install(third, approve=never)
    assert await states(platform) == {"notes/Note": "approved"}
    await platform.apps.rollback("tiny")
    assert await states(platform) == {
        "notes/Note": "approved",
        "smtp.example.org:465": "rejected",
        "api.example.org:443": "approved",
    }


async def test_a_refused_new_grant_leaves_the_version_before_running(platform, make_app):
    await platform.apps.install(make_app(), approve=approve_all)
    [status] = await platform.apps.list()

    async def refuse(grants):
        return {}

    with pytest.raises(Forbidden, match=r"requires grants that were rejected: network api\.example\.org:443"):
        await platform.apps.install(
            make_app("uses: [{network: 'api.example.org:443'}]\n", version="2.0.0"), approve=refuse
        )
    [same] = await platform.apps.list()
    assert (same.version, same.pid, same.state) == ("1.0.0", status.pid, "RUNNING")


async def test_triggers_keep_their_places_and_those_that_are_gone_give_them_up(platform, versions):
    def triggers(*names: str, type: str = "Note") -> str:
        listed = ", ".join(f"{{name: {name}, on: {{type: tiny/{type}}}, action: one}}" for name in names)
        return f"actions: [{{name: one}}]\ntriggers: [{listed}]\n"

    await platform.apps.install(versions("1.0.0", triggers("kept", "gone")), approve=approve_all)
    await platform.apps.install(versions("1.1.0", triggers("kept", "fresh")), approve=approve_all)
    noted = [line for line in platform.recorder.noted() if not line.startswith(("disconnect", "lost"))]
    assert noted[-4:] == ["suspend tiny", "retire tiny []", "attach tiny", "retire tiny ['gone']"]
    await platform.apps.rollback("tiny")
    noted = [line for line in platform.recorder.noted() if not line.startswith(("disconnect", "lost"))]
    assert "retire tiny ['fresh']" in noted[-4:] and "detach tiny" not in noted


async def test_an_action_that_another_app_needs_can_not_be_taken_away(platform, make_app):
    await platform.apps.install(make_app("actions: [{name: one}]\n"), approve=approve_all)
    await platform.apps.install(make_app("uses: [{call: tiny/one}]\n", name="other"), approve=approve_all)
    with pytest.raises(Conflict, match="lacks what others need: other needs the action one of tiny"):
        await platform.apps.install(make_app(version="2.0.0"), approve=never)


async def test_a_reviewed_archive_is_kept_aside_and_a_few_at_most(platform, make_app):
    archives = [make_app(version=f"1.0.{number}") for number in range(5)]
    names = [(await platform.apps.review(archive)).archive for archive in archives]
    assert platform.apps.staged.place(names[-1]).read_bytes() == archives[-1]
    with pytest.raises(NotFound, match="upload it again"):
        platform.apps.staged.place(names[0])
    for name in ("../../etc/passwd", "", "0" * 64):
        with pytest.raises(NotFound):
            platform.apps.staged.place(name)


async def test_what_is_missing_is_named_with_the_bundled_app_that_has_it(tmp_path, make_app):
    make_app("provides: [object-storage]\nactions: [{name: get}]\n", name="store")
    async with open_platform(tmp_path / "node", bundled=tmp_path / "sources") as platform:
        needy = make_app("uses: [{call: role:object-storage/get}, {read: missing/Thing}]\n", name="needy")
        shown = (await platform.apps.review(needy)).as_dict()
        assert shown["needed"] == ["store"] and shown["missing"] == [
            "an app that provides the role object-storage (the app store, which comes with PCloud, has it)",
            "the type missing/Thing",
        ]
        with pytest.raises(Rejected, match="needs what is not installed: an app that provides"):
            await platform.apps.install(needy, approve=never)
        assert await platform.apps.bundled("store") == packed(tmp_path / "sources" / "store").data
        assert {one["name"] for one in await platform.apps.list_bundled()} == {"store", "needy"}


async def test_an_upgrade_without_room_for_the_copy_changes_nothing(platform, versions, monkeypatch):
    await platform.apps.install(versions("1.0.0"), approve=approve_all)
    monkeypatch.setattr("core.apps.life.data_snapshot.RESERVE", 2**60)
    with pytest.raises(Unavailable, match="there is no room for a copy of the app's data"):
        await platform.apps.install(versions("1.1.0"), approve=approve_all)
    app = await platform.apps.get("tiny")
    assert (app.version, app.state) == ("1.0.0", AppState.RUNNING)


async def states(platform) -> dict[str, str]:
    rows = await platform.graph.fetch(Select("core/Grant", scalars=("app", "target", "state")))
    return {row["target"]: row["state"] for row in rows if row["app"] == "tiny"}
