"""Workers: real processes, with a detector of their own, that die and are replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from face_detector.pool import Pool
from face_detector.settings import Settings
from PIL import Image

from pcloud.errors import Rejected, Unavailable


@pytest.fixture
def portrait(tmp_path: Path, astronaut: Image.Image) -> Path:
    path = tmp_path / "portrait"
    astronaut.save(path, format="JPEG", quality=95)
    return path


def only_worker(pool: Pool) -> int:
    (worker,) = pool._resting
    return worker._process.pid


async def test_a_worker_finds_what_the_detector_finds(portrait: Path) -> None:
    async with Pool(Settings()) as pool:
        found = await pool.detect(portrait)
        pid = only_worker(pool)
        again = await pool.detect(portrait)
        assert only_worker(pool) == pid
    assert (found.detector, found.version, len(found.faces)) == ("blazeface-full-range", "1", 1)
    assert again == found
    assert not Path(f"/proc/{pid}").exists()


async def test_a_bad_picture_is_rejected_and_the_worker_goes_on(portrait: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"no picture")
    async with Pool(Settings()) as pool:
        with pytest.raises(Rejected, match="decoded"):
            await pool.detect(bad)
        pid = only_worker(pool)
        assert (await pool.detect(portrait)).faces
        assert only_worker(pool) == pid


async def test_a_killed_worker_is_not_the_picture_s_fault_and_is_replaced(portrait: Path) -> None:
    async with Pool(Settings(parallel=1)) as pool:
        await pool.detect(portrait)
        running = asyncio.create_task(pool.detect(portrait))
        pid = only_worker(pool)
        while pool._resting:  # until the worker is taken
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="retried"):
            await running
        assert (await pool.detect(portrait)).faces
        assert only_worker(pool) != pid


async def test_a_worker_that_died_while_it_rested_is_not_asked(portrait: Path) -> None:
    async with Pool(Settings(parallel=1)) as pool:
        await pool.detect(portrait)
        worker = pool._resting[0]
        os.kill(only_worker(pool), signal.SIGKILL)
        await worker._process.wait()
        assert (await pool.detect(portrait)).faces


async def test_a_picture_that_takes_too_long_is_abandoned(portrait: Path) -> None:
    async with Pool(Settings(seconds=0.001)) as pool:
        with pytest.raises(Rejected, match="longer than"):
            await pool.detect(portrait)
        assert not pool._resting


async def test_a_picture_that_needs_too_much_memory_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "large"
    Image.new("1", (30_000, 30_000)).save(path, format="PNG")
    async with Pool(Settings(pixels=10**9, memory=800 * 2**20)) as pool:
        with pytest.raises(Rejected, match="memory"):
            await pool.detect(path)


async def test_a_worker_without_work_ends(portrait: Path) -> None:
    async with Pool(Settings(idle=0.01)) as pool:
        await pool.detect(portrait)
        process = pool._resting[0]._process
        async with asyncio.timeout(10):
            await process.wait()
        assert not pool._resting


async def test_at_most_two_workers_share_many_pictures(portrait: Path) -> None:
    async with Pool(Settings(parallel=2)) as pool:
        found = await asyncio.gather(*(pool.detect(portrait) for _ in range(6)))
        assert len(pool._resting) == 2
    assert all(one == found[0] for one in found)


async def test_a_detector_that_cannot_start_is_not_the_picture_s_fault(portrait: Path, tmp_path: Path) -> None:
    async with Pool(Settings(detector="yunet", model=str(tmp_path / "none.tflite"))) as pool:
        with pytest.raises(Unavailable, match=r"none\.tflite"):
            await pool.detect(portrait)


async def test_a_worker_knows_nothing_of_the_app_s_secrets(portrait: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_NKEY_SEED_FILE", "/secret")
    async with Pool(Settings()) as pool:
        await pool.detect(portrait)
        assert b"NATS" not in Path(f"/proc/{only_worker(pool)}/environ").read_bytes()
