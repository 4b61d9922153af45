"""Backups in the bucket of an S3 service: a SeaweedFS of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.backup.conftest import BackedUp, pcloud, refused
from tests.integration.backup.killing import restic_that_waits
from tests.waiting import wait_until

KEY, SECRET = "AKBACKUP", "a secret that nothing may show"
ACTIONS = [f"{action}:backups" for action in ("Read", "Write", "List")]


class Bucket:
    """SeaweedFS with one bucket, `backups`, and keys that may use that one alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, ports = folder, free_ports(4)
        self.address = f"127.0.0.1:{ports[3]}"
        names = ("master.port", "volume.port", "filer.port", "s3.port")
        identity = {"name": "b", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ACTIONS}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        grpc = [f"-{name}.grpc={port}" for name, port in zip(names, free_ports(4), strict=True)]
        self.command = [
            str(shutil.which("weed")), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
            f"-s3.config={folder}/s3.json", "-master.volumeSizeLimitMB=64", "-volume.max=20", "-master.telemetry=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
            *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)), *grpc,
        ]  # fmt: skip
        self.filer = f"http://127.0.0.1:{ports[2]}"
        self.made = False
        self.start()
        wait_until(self.makes_bucket, what="the bucket")

    def start(self) -> None:
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)

    def makes_bucket(self) -> bool:
        import requests

        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            self.made = self.made or requests.post(f"{self.filer}/buckets/backups/", timeout=10).ok
            return self.made and bool(requests.get(f"http://{self.address}/backups", timeout=10).status_code)
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    bucket = Bucket(tmp_path_factory.mktemp("weed"))
    yield bucket
    bucket.kill()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def test_backup_to_a_bucket_is_proven_and_restored(backed_up: BackedUp, bucket: Bucket, tmp_path: Path) -> None:
    place = f"s3+http://{bucket.address}/backups/home"
    first = pcloud(backed_up.node.data, "backup", place, "--json")
    assert first.returncode == 0, first.stderr
    second = pcloud(backed_up.node.data, "backup", place, "--json")
    assert json.loads(second.stdout)["added"] < json.loads(first.stdout)["added"]
    proven = pcloud(backed_up.node.data, "backup", "--verify", place, "--json")
    assert proven.returncode == 0, proven.stderr
    restored = pcloud(tmp_path / "restored", "restore", place, "--json")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["events"] == json.loads(second.stdout)["events"] >= backed_up.events


def test_wrong_keys_and_missing_buckets_are_named(
    backed_up: BackedUp, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, place = backed_up.node.data, f"s3+http://{bucket.address}/backups/home"
    assert "no backup of PCloud" in refused(pcloud(tmp_path / "new", "restore", f"{place}-other"), 3)
    assert "refuses these keys" in refused(pcloud(data, "backup", f"s3+http://{bucket.address}/other/home"), 5)
    (tmp_path / "keys").write_text(f"AWS_ACCESS_KEY_ID=AKOTHER\nAWS_SECRET_ACCESS_KEY={SECRET}\n")
    said = refused(pcloud(data, "backup", place, "--s3-keys", tmp_path / "keys"), 5)
    assert "refuses these keys" in said and SECRET not in said
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "refuses these keys" in refused(pcloud(data, "backup", place), 5)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "AWS_SECRET_ACCESS_KEY" in refused(pcloud(data, "backup", place), 2)


def test_passphrase_and_keys_are_in_no_command_line(backed_up: BackedUp, bucket: Bucket, tmp_path: Path) -> None:
    path, here = restic_that_waits(tmp_path / "bin", "cat", False)
    from tests.integration.backup.killing import kill_at

    seen: list[str] = []

    def reached() -> bool:
        if here.exists() and not seen:
            seen.extend(" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True))
        return bool(seen)

    kill_at(["backup", f"s3+http://{bucket.address}/backups/home"], backed_up.node.data, path, reached)
    assert seen and not any(SECRET in one or "correct horse" in one for one in seen)


def test_bucket_that_vanishes_during_the_backup(backed_up: BackedUp, bucket: Bucket, tmp_path: Path) -> None:
    """The next run completes it."""
    place = f"s3+http://{bucket.address}/backups/vanishing"
    folder = tmp_path / "bin"
    folder.mkdir()
    real, pid = shutil.which("restic"), bucket.process.pid
    (folder / "restic").write_text(f'#!/bin/sh\n[ "$1" = backup ] && kill -9 {pid}\nexec {real} "$@"\n')
    (folder / "restic").chmod(0o755)
    said = refused(pcloud(backed_up.node.data, "backup", place, path=str(folder)), 6)
    assert "can't be reached" in said and "run this again" in said
    bucket.process.wait()
    bucket.start()
    wait_until(bucket.makes_bucket, what="SeaweedFS to be back")
    errors: list[str] = []  # the S3 part may need a moment more than its answer of 403

    def completed() -> bool:
        again = pcloud(backed_up.node.data, "backup", place)
        errors.append(again.stderr)
        assert len(errors) < 20, errors
        return again.returncode == 0

    wait_until(completed, what="the next run")
