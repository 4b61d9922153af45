"""An app's user on this machine, and the place of its control groups."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.apps.process.log import LogRate
from core.apps.sandbox import Limits
from core.apps.sandbox.cgroup import Cgroup, find_cgroups
from core.apps.sandbox.command import Mounts, namespaces, program
from core.apps.sandbox.user import FAR, NEAR, free_users, give, own_user


@pytest.mark.parametrize(
    ("uid_map", "users"),
    [
        ("0 0 4294967295", FAR),
        ("0 100000 65536", NEAR),
        ("0 1000 1", range(0)),
        ("0 1000 1\n1 100000 2147483000", FAR),
    ],
)
def test_app_users_are_far_from_people_and_within_the_map(uid_map, users):
    assert free_users(uid_map) == users


def test_a_user_is_chosen_once(tmp_path):
    first = own_user(tmp_path / "user", FAR)
    assert first in FAR and own_user(tmp_path / "user", FAR) == first
    (tmp_path / "user").write_text("0")
    assert own_user(tmp_path / "user", FAR) in FAR
    assert own_user(tmp_path / "user", range(0)) == 0


def test_giving_a_folder_never_follows_a_link(tmp_path, monkeypatch):
    given = []

    def chown(path, *ids, follow_symlinks=True, **options):
        # The descriptor refers to the folder itself.
        given.append(
            (str(Path(f"/proc/self/fd/{path}").readlink()) if isinstance(path, int) else str(path), follow_symlinks)
        )

    monkeypatch.setattr("os.chown", chown)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    give(tmp_path / "data", 1_900_000_001)
    assert sorted(given) == [(str(tmp_path / "data"), False), (str(tmp_path / "data" / "sub"), True), ("link", False)]


def test_groups_are_made_below_the_one_that_core_is_in(tmp_path):
    for folder in ("memory/mine", "pids"):
        (tmp_path / folder).mkdir(parents=True)
    found = find_cgroups(tmp_path, "5:devices:/\n4:memory:/mine\n8:pids:/\n0::/\n")
    assert found is not None and (found.memory, found.pids, found.version) == (
        tmp_path / "memory/mine",
        tmp_path / "pids",
        1,
    )


def test_unwritable_cgroup_hierarchy_is_not_used(tmp_path):
    assert find_cgroups(tmp_path, "4:memory:/mine\n8:pids:/\n") is None
    assert find_cgroups(tmp_path, "0::/user.slice\n") is None


def test_the_kernels_counts_are_read_in_both_versions(tmp_path):
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (tmp_path / "memory.events").write_text("low 0\noom 5\noom_kill 2\n")
    (tmp_path / "pids.events").write_text("max 7\n")
    assert [Cgroup(tmp_path, tmp_path, version).killed() for version in (1, 2)] == [3, 2]
    assert Cgroup(tmp_path, tmp_path, 1).refused() == 7
    assert Cgroup(tmp_path / "gone", tmp_path / "gone", 1).killed() == 0


@pytest.mark.parametrize("root", [True, False])
def test_sandbox_namespaces_for_root_and_other_users(root):
    words = list(namespaces(root=root))
    for word in (
        "--unshare-net",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
    ):
        assert word in words
    assert words[words.index("--cap-drop") + 1] == "ALL"
    added = {word for before, word in itertools.pairwise(words) if before == "--cap-add"}
    # The starter needs these to become another user, and drops them.
    assert added == ({"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"} if root else set())
    assert ("--disable-userns" in words) == (not root)


def test_what_is_in_memory_is_bounded_and_the_root_is_closed_at_last(tmp_path):
    limits = Limits(memory=400 * 2**20)
    words = list(program(Mounts(*[tmp_path] * 4), limits))
    places = [number for number, word in enumerate(words) if word == "--tmpfs"]
    assert {words[number + 1] for number in places} == {"/tmp", "/dev/shm"}
    assert all(words[number - 2 : number] == ["--size", str(100 * 2**20)] for number in places)
    assert words.index("--remount-ro") > max(number for number, word in enumerate(words) if "bind" in word)
    assert "resolv.conf" not in " ".join(words)


def test_nothing_but_data_is_bound_writable(tmp_path):
    mounts = Mounts(tmp_path / "code", tmp_path / "data", tmp_path / "keys", tmp_path / "etc", tmp_path / "environment")
    words = [*program(mounts, Limits())]
    bound = [words[at + 2] for at, word in enumerate(words) if word == "--bind"]
    assert bound == ["/data"]
    assert words[-4:] == ["--remount-ro", "/", "--chdir", "/"]


def test_log_bounds_lines_and_bytes_per_window():
    rate = LogRate(lines=1, size=100)
    assert [rate.admits(10, 1000.0) for _ in range(12)].count(True) == 10
    assert rate.take_dropped() == 2 and rate.take_dropped() == 0
    assert rate.admits(990, 1010.0) and not rate.admits(20, 1011.0) and rate.admits(20, 1020.1)
