"""`pcloud service`: systemd accepts the unit that it writes, which says what was asked. A fake `systemctl` notes each command."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cli.service import make_folder
from core.cli.unit import Unit, quoted
from core.shipped.places import default_files_folder
from pcloud.errors import Rejected
from tests.forked import run_command

PCLOUD = Path(sys.executable).parent / "pcloud"
RUNNER = "daemon"
# They would take from bubblewrap what it needs to make a sandbox.
FORBIDDEN = ("RestrictNamespaces", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc", "ProtectControlGroups",
             "MemoryDenyWriteExecute", "PrivateTmp", "PrivateUsers", "SystemCallFilter")  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A home and a `systemctl` that notes each command; it fails while there is a file `broken`."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/told\nif [ -e {tmp_path}/broken ]; then echo no bus >&2; exit 1; fi\n'
        'case "$*" in *is-*) echo active;; esac\n'
    )
    program.chmod(0o755)
    return tmp_path


def service(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "PATH": f"{machine / 'bin'}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(machine / "config"),
        "PCLOUD_DATA_FOLDER": str(machine / "data"), "PCLOUD_FILES": str(machine / "files"),
    }  # fmt: skip
    return run_command(("service", *arguments), environment)


def told(machine: Path) -> list[str]:
    path = machine / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def unit(machine: Path) -> Path:
    return machine / "config" / "systemd" / "user" / "pcloud.service"


@pytest.mark.parametrize("user", ["", RUNNER])
def test_systemd_accepts_the_unit(tmp_path: Path, user: str) -> None:
    text = Unit([sys.executable, "up", "--data", '/a b/100%/"q"/$HOME/\\n'], user).render()
    path = tmp_path / "pcloud.service"
    path.write_text(text)
    scope = [] if user else ["--user"]
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "info", "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", *scope, "verify", "--man=no", str(path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0 and "pcloud.service" not in done.stderr, done.stderr
    assert [name for name in FORBIDDEN if re.search(f"^{name}=", text, re.MULTILINE)] == []
    assert ("User=daemon" in text) == bool(user) and "Restart=always" in text


def test_a_wrong_unit_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "pcloud.service"
    path.write_text(Unit([sys.executable], "").render().replace("Restart=always", "Restart=maybe"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True)
    assert "pcloud.service" in done.stderr


def read_back(line: str) -> str:
    """A quoted word as systemd reads it: C escapes, then specifiers and variables (systemd.service(5), "Command lines")."""
    assert line[0] == line[-1] == '"'
    return re.sub(r"\\(.)", r"\1", line[1:-1]).replace("%%", "%").replace("$$", "$")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1))
def test_every_word_is_read_back_as_it_was(word: str) -> None:
    line = quoted(word)
    assert read_back(line) == word
    inner = re.sub(r"\\.", "", line[1:-1]).replace("%%", "").replace("$$", "")
    assert not set('"\\%$') & set(inner)


@given(st.sampled_from("\n\r\0\x1b\u2028"), st.text(max_size=3))
def test_a_word_that_would_begin_another_line_is_refused(letter: str, text: str) -> None:
    with pytest.raises(Rejected, match="control character"):
        quoted(text + letter + text)


def test_install_starts_it_and_repeating_changes_nothing(machine: Path) -> None:
    assert service(machine, "install").returncode == 0
    first = unit(machine).read_text()
    assert f'ExecStart="{PCLOUD}" "up" "--data" "{machine}/data" "--files" "{machine}/files"' in first
    assert told(machine) == ["--user daemon-reload", "--user enable pcloud.service", "--user restart pcloud.service"]
    assert (machine / "data").stat().st_mode & 0o777 == 0o700
    before = unit(machine).stat().st_mtime_ns
    again = service(machine, "install")
    assert again.returncode == 0 and unit(machine).stat().st_mtime_ns == before
    assert told(machine) == ["--user daemon-reload", "--user enable pcloud.service", "--user start pcloud.service"]
    service(machine, "install", "--listen", "127.0.0.1:9000")
    assert "127.0.0.1:9000" in unit(machine).read_text() and "--user restart pcloud.service" in told(machine)


def test_an_interrupted_change_is_applied_by_the_next_try(machine: Path) -> None:
    service(machine, "install")
    (machine / "broken").touch()
    assert service(machine, "install", "--listen", "127.0.0.1:9000").returncode != 0
    (machine / "broken").unlink()
    told(machine)
    assert service(machine, "install", "--listen", "127.0.0.1:9000").returncode == 0
    assert told(machine) == ["--user daemon-reload", "--user enable pcloud.service", "--user restart pcloud.service"]
    assert [file.name for file in unit(machine).parent.iterdir()] == ["pcloud.service"]


def test_the_folders_are_those_of_pcloud_up(machine: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(machine / "share"), "XDG_CACHE_HOME": str(machine / "cache")}
    for name in ("PCLOUD_DATA_FOLDER", "PCLOUD_FILES"):
        environment.pop(name, None)
    shown = run_command(("service", "install", "--print"), environment).stdout
    assert f'"--data" "{machine}/share/pcloud"' in shown and f'"--files" "{default_files_folder()}"' in shown


def test_nothing_is_made_where_only_root_may_though_a_link_leads_there() -> None:
    """As root it makes the folders of another user."""
    root = os.geteuid() == 0
    runner = pwd.getpwnam(RUNNER) if root else pwd.getpwuid(os.getuid())
    with tempfile.TemporaryDirectory() as found:
        folder, mine, roots = Path(found), Path(found, "mine"), Path(found, "roots")
        folder.chmod(0o711)
        mine.mkdir()
        roots.mkdir(mode=0o555)
        if root:
            os.chown(mine, runner.pw_uid, runner.pw_gid)
        make_folder(mine / "a" / "b", runner)
        for made in (mine / "a", mine / "a" / "b"):
            assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (runner.pw_uid, 0o700)
        (mine / "link").symlink_to(roots)
        with pytest.raises(Rejected, match=rf"{runner.pw_name} can't make .*make it first"):
            make_folder(mine / "link" / "b", runner)
        assert not list(roots.iterdir())


def test_status_says_what_is_so_and_uninstall_is_repeatable(machine: Path) -> None:
    assert json.loads(service(machine, "status", "--json").stdout)["installed"] is False
    service(machine, "install")
    shown = json.loads(service(machine, "status", "--json").stdout)
    assert shown == {"installed": True, "unit": str(unit(machine)), "enabled": "active", "active": "active"}
    told(machine)
    assert service(machine, "uninstall").returncode == 0 and not unit(machine).exists()
    assert told(machine) == ["--user disable --now pcloud.service", "--user daemon-reload"]
    again = service(machine, "uninstall")
    assert again.returncode == 0 and "not installed" in again.stderr and told(machine) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "nonsense"], "not an address"),
        (["--listen", "127.0.0.1:0"], "another port at each start"),
        (["--data", "/tmp/a\nExecStartPre=/bin/evil"], "control character"),
        (["--domain", "a\nUser=root"], "control character"),
        (["--graph", "neo4j://neo4j@host:7687"], "--graph-password-file"),
        (["--user", "someone"], "--system"),
        (["--system", "--user", "no-such-user"], "no user 'no-such-user'"),
        (["--system", "--user", "root"], "root should not"),
    ],
)
def test_what_could_not_work_is_refused_and_nothing_written(machine: Path, arguments: list[str], words: str) -> None:
    refused = service(machine, "install", *arguments)
    assert refused.returncode != 0 and words in " ".join(refused.stderr.split())
    assert not unit(machine).exists() and told(machine) == []


def test_a_systemd_that_does_not_run_is_named(machine: Path) -> None:
    (machine / "broken").touch()
    failed = service(machine, "install")
    assert failed.returncode != 0 and "no bus" in failed.stderr


def test_print_changes_nothing(machine: Path) -> None:
    shown = service(machine, "install", "--system", "--user", RUNNER, "--print")
    assert "User=daemon" in shown.stdout and "ProtectSystem=full" in shown.stdout and told(machine) == []
    assert not (machine / "data").exists() and not unit(machine).exists()
