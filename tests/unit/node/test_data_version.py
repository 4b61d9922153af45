"""Which PCloud may open a data folder, what an update keeps, and the way back: also after a death at any step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.node import data_version
from core.node import go_back as going_back
from core.node.data_version import DataVersion, become_ready, read_version, take_over, way_back
from core.node.folder import DataFolder
from core.node.go_back import go_back, plan_return
from pcloud.errors import Corrupt, Rejected, Unavailable

STEPS = ("copy_tree", "remove_tree", "write_version")


class Died(BaseException):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The data of a program that recorded no version."""
    return cloud(tmp_path / "data")


def cloud(root: Path) -> DataFolder:
    folder = DataFolder(root)
    for name in ("nats/jetstream", "secrets", "graph"):
        (root / name).mkdir(parents=True)
    (folder.nats / "jetstream" / "1.blk").write_text("events of 0.1")
    (folder.secrets / "session.key").write_text("key of 0.1")
    folder.graph.write_text("view of 0.1")
    return folder


def content(folder: DataFolder) -> dict[str, str]:
    places = (folder.nats / "jetstream" / "1.blk", folder.secrets / "session.key")
    return {place.name: place.read_text() for place in places}


def write_as_newer(folder: DataFolder) -> None:
    (folder.nats / "jetstream" / "1.blk").write_text("events of 0.1 and of a newer one")
    folder.graph.write_text("view of a newer one")


def test_new_folder_belongs_to_its_program(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    folder = DataFolder(tmp_path / "data")
    now = take_over(folder)
    assert (now.program, now.before, now.ready) == (data_version.PROGRAM, "", True)
    assert take_over(folder) == now and not folder.before_update.exists()
    with pytest.raises(Rejected, match="nothing to go back to"):
        plan_return(folder)


def test_older_program_refuses_newer_data_and_names_what_it_needs(folder: DataFolder) -> None:
    take_over(folder, "0.9.0", "0.8.0")
    before = folder.version.read_bytes()
    with pytest.raises(Rejected, match=r"written by PCloud 0\.9\.0, and this is 0\.7\.1: use PCloud 0\.8\.0 or newer"):
        take_over(folder, "0.7.1", "0.5.0")
    assert folder.version.read_bytes() == before
    assert take_over(folder, "0.8.3", "0.5.0").reads == "0.8.0", "what the newer one wrote is still there"


def test_update_that_the_program_before_can_read_copies_nothing(folder: DataFolder) -> None:
    become_ready(folder, take_over(folder, "0.8.0", "0.1.0"))
    now = take_over(folder, "0.9.0", "0.8.0")
    assert not folder.before_update.exists() and (now.before, now.ready) == ("0.8.0", False)
    write_as_newer(folder)
    assert plan_return(folder).since == 0.0 and go_back(folder).to == "0.8.0"
    assert content(folder)["1.blk"] == "events of 0.1 and of a newer one", "what was stored stays"
    back = take_over(folder, "0.8.0", "0.1.0")
    assert back.program == "0.8.0" and back.went_back and way_back(back) == ""
    with pytest.raises(Rejected, match="nothing to go back to"):
        plan_return(folder)
    assert take_over(folder, "0.9.1", "0.8.0").before == "0.8.0"


def test_way_back_is_named_until_the_program_was_up_once(folder: DataFolder) -> None:
    now = take_over(folder, "0.9.0", "0.9.0")
    assert "`pcloud go-back`" in way_back(now)
    become_ready(folder, now)
    ready = read_version(folder)
    assert ready is not None and way_back(ready) == "" and ready.before == "0.1.0"


def test_log_and_keys_return_as_they_were(folder: DataFolder) -> None:
    before = content(folder)
    take_over(folder, "0.9.0", "0.9.0")
    write_as_newer(folder)
    plan = plan_return(folder)
    assert plan.since > 0 and go_back(folder) == plan and plan.to == "0.1.0"
    assert content(folder) == before and not folder.graph.exists() and not folder.before_update.exists()
    aside = plan.aside / "nats" / "jetstream" / "1.blk"
    assert aside.read_text() == "events of 0.1 and of a newer one"
    assert take_over(folder, "0.9.0", "0.9.0").before == "0.1.0", "the update can be tried again"


def test_second_return_keeps_what_the_first_put_aside(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    asides = list[Path]()
    for now in (1_800_000_000.0, 1_800_000_000.5, 1_801_000_000.0):
        monkeypatch.setattr(data_version.time, "time", lambda now=now: now)
        take_over(folder, "0.9.0", "0.9.0")
        (folder.nats / "jetstream" / "1.blk").write_text(f"events until {now}")
        if now == 1_800_000_000.5:  # the clock was set back
            with pytest.raises(Rejected, match="move it to another place first"):
                go_back(folder)
            asides[0] = asides[0].rename(folder.root / "mine")
        asides.append(go_back(folder).aside)
    kept = [(aside / "nats" / "jetstream" / "1.blk").read_text() for aside in asides]
    assert kept == ["events until 1800000000.0", "events until 1800000000.5", "events until 1801000000.0"]


@pytest.mark.parametrize("oldest", ["0.9.0", "0.9.1"])
def test_further_updates_after_a_failed_one_lead_back_to_the_last_that_was_up(folder: DataFolder, oldest: str) -> None:
    before = content(folder)
    first = take_over(folder, "0.9.0", "0.9.0")
    (folder.nats / "jetstream" / "1.blk").write_text("harmed by 0.9.0")
    for program in ("0.9.2", "0.9.1"):
        now = take_over(folder, program, oldest)
        assert (now.before, now.since, now.ready) == ("0.1.0", first.since, False) and not now.went_back
    assert go_back(folder).to == "0.1.0" and content(folder) == before


def test_second_update_makes_the_copy_that_only_it_needs(folder: DataFolder) -> None:
    take_over(folder, "0.8.0", "0.1.0")
    become_ready(folder, take_over(folder, "0.8.1", "0.1.0"))
    first = take_over(folder, "0.9.0", "0.1.0")
    (folder.nats / "jetstream" / "1.blk").write_text("events until 0.9.1")
    now = take_over(folder, "0.9.1", "0.9.1")
    assert now.before == "0.8.1" and now.since > first.since
    write_as_newer(folder)
    assert go_back(folder).to == "0.8.1" and content(folder)["1.blk"] == "events until 0.9.1"
    assert take_over(folder, "0.8.1", "0.1.0").ready


def test_update_without_room_for_the_copy_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cloud(tmp_path / "data")
    monkeypatch.setattr(DataFolder, "free_bytes", lambda _: 1000)
    with pytest.raises(Unavailable, match=r"no room for a copy of the log, which going back to PCloud 0\.1\.0 needs"):
        take_over(folder, "0.9.0", "0.9.0")
    assert not folder.version.exists() and not folder.before_update.exists()


def test_unreadable_version_is_named(folder: DataFolder) -> None:
    folder.version.write_text("{")
    with pytest.raises(Corrupt, match=r"version\.json can't be read"):
        take_over(folder)


def dying_after(count: int) -> Callable[[], None]:
    """Let each step below be the last one in turn, before and after it is done; call the result to live on."""
    patch = pytest.MonkeyPatch()
    left = [count]

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            for moment in (lambda: None, lambda: work(*given, **more)):
                if left[0] == 0:
                    raise Died
                left[0] -= 1
                result = moment()
            return result

        return step

    for module in (data_version, going_back):
        for name in STEPS:
            if hasattr(module, name):
                patch.setattr(module, name, dying(getattr(module, name)))
    for name in ("rename", "replace"):
        patch.setattr(Path, name, dying(getattr(Path, name)))
    return patch.undo


def test_death_at_any_step_of_an_update_leaves_the_data_of_one_program(tmp_path: Path) -> None:
    for count in range(1000):
        folder = cloud(tmp_path / str(count))
        before, live = content(folder), dying_after(count)
        try:
            take_over(folder, "0.9.0", "0.9.0")
        except Died:
            live()
            assert content(folder) == before
            found = read_version(folder)
            assert found is None or folder.before_update.exists(), f"no way back after step {count}"
            take_over(folder, "0.9.0", "0.9.0")
        else:
            live()
            break
        assert read_version(folder) is not None and plan_return(folder).since > 0
    assert count > 10


def test_death_at_any_step_of_going_back_is_continued(tmp_path: Path) -> None:
    for count in range(1000):
        folder = cloud(tmp_path / str(count))
        before = content(folder)
        take_over(folder, "0.9.0", "0.9.0")
        write_as_newer(folder)
        live = dying_after(count)
        try:
            go_back(folder)
        except Died:
            live()
            found = read_version(folder)
            if found is not None and found.returning:
                for program in ("0.2.0", "0.9.0"):
                    with pytest.raises(Rejected, match="run `pcloud go-back` again"):
                        take_over(folder, program, "0.2.0")
            if found is not None and found.before:
                go_back(folder)
        else:
            live()
            assert content(folder) == before
            break
        assert content(folder) == before and read_version(folder) == DataVersion("0.1.0", "0.1.0")
    assert count > 10
