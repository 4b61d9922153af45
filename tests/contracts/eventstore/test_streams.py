"""The streams beside GRAPH: durable calls, runs, audit, archives; and the properties that all streams share."""

from __future__ import annotations

import asyncio
import base64
import random
from contextlib import aclosing
from dataclasses import replace

import pytest
from nats.js.api import KeyValueConfig, StreamConfig

from eventstore import StoreSettings, open_store
from pcloud.errors import Conflict, Corrupt, NotFound, Rejected, Unavailable
from tests.waiting import PATIENCE


async def test_every_stream_says_its_purpose_and_only_graph_is_unlimited(store):
    streams = {info.config.name: info.config for info in await store.js.streams_info()}
    assert set(streams) == {
        "GRAPH", "WORK", "RUNS", "AUDIT", "OBJ_ARCHIVES", "KV_FORGETTING",
    }  # fmt: skip
    assert all(config.description.startswith("PCloud: ") for config in streams.values())
    assert {name for name, config in streams.items() if config.max_bytes == -1} == {"GRAPH"}
    graph = streams["GRAPH"]
    assert graph.allow_atomic and graph.allow_direct and graph.deny_delete
    assert (graph.max_msgs, graph.max_age, graph.compression, graph.storage) == (-1, 0, "s2", "file")
    assert graph.metadata["pcloud_epoch"] == store.epoch
    for config in streams.values():
        assert config.metadata["pcloud_purpose"] and config.metadata["pcloud_message"]
        first = config.subjects[0].partition(".")[0]
        assert f"{first}." in config.metadata["pcloud_subject"], "says how its subjects are made"


async def test_the_nats_cli_shows_every_text_of_a_stream_whole(store):
    """On a terminal of 80 columns it cuts the middle out of a longer value."""
    keys = {"pcloud_epoch", "pcloud_id_key"}
    for info in await store.js.streams_info():
        texts = {
            name: text for name, text in info.config.metadata.items() if name.startswith("pcloud_") and name not in keys
        }
        assert {name: text for name, text in texts.items() if len(text) > 50} == {}


async def test_an_older_stream_gets_its_description_and_keeps_its_epoch(connection, store):
    config = (await store.js.stream_info("GRAPH")).config
    config.metadata = {key: value for key, value in config.metadata.items() if key in ("pcloud_epoch", "pcloud_id_key")}
    await store.js.update_stream(config)
    async with open_store(connection) as again:
        metadata = (await again.js.stream_info("GRAPH")).config.metadata
        assert metadata["pcloud_message"] and metadata["pcloud_epoch"] == store.epoch


async def test_new_settings_change_the_streams_and_not_the_epoch(connection, store):
    smaller = dict(StoreSettings().max_bytes) | {"WORK": 12_345_678}
    async with open_store(connection, settings=StoreSettings(duplicate_window=60, max_bytes=smaller)) as again:
        assert (again.epoch, again.id_key) == (store.epoch, store.id_key)
        assert (await again.js.stream_info("WORK")).config.max_bytes == 12_345_678
        assert (await again.js.stream_info("GRAPH")).config.duplicate_window == 60


async def test_a_log_with_streams_of_an_older_version_opens_as_before(connection, store, make):
    appended = await store.append(make.tx(make.event("a")))
    await store.js.add_stream(StreamConfig("TIMERS", subjects=["timer.>"], max_bytes=2**20, allow_direct=True))
    for bucket in ("NODES", "LEASES"):
        await store.js.create_key_value(KeyValueConfig(bucket, max_bytes=2**20))
    config = (await store.js.stream_info("KV_FORGETTING")).config
    await store.js.update_stream(replace(config, allow_msg_ttl=True, subject_delete_marker_ttl=60))
    async with open_store(connection) as again:
        assert await again.last_sequence() == appended.sequences[-1]
        assert {"TIMERS", "KV_NODES", "KV_LEASES"} <= {report.name for report in await again.report_streams()}
        await again.erasure.begin("x1", [make.event("a").ref])
        assert [note.id for note in await again.erasure.pending()] == ["x1"]


async def test_the_buckets_are_those_of_the_clients_libraries(store):
    notes = await store.js.key_value("FORGETTING")
    revision = await notes.create("x1", b"1")
    with pytest.raises(Exception, match="wrong last sequence"):
        await notes.create("x1", b"2")
    await notes.update("x1", b"3", revision)
    assert (await notes.get("x1")).value == b"3"


async def test_a_durable_call_waits_until_it_is_acknowledged(store):
    assert await store.work.put("photos", "make-thumbnail", "id1", b"{}", {"Pcloud-Caller": "owner"})
    async with asyncio.timeout(PATIENCE), aclosing(store.work.pull("photos", ack_wait=0.2)) as calls:
        first = await anext(calls)
        again = await anext(calls)
        assert (again.app, again.action, again.id, again.body) == ("photos", "make-thumbnail", "id1", b"{}")
        assert dict(again.headers) == {"Pcloud-Caller": "owner"}
        assert (first.attempt, again.attempt) == (1, 2)
        await again.ack()
        await store.work.put("photos", "make-thumbnail", "id2", b"2")
        assert (await anext(calls)).id == "id2"


async def test_a_durable_call_with_the_same_id_is_put_once(store, until):
    assert await store.work.put("photos", "act", "id1", b"1")
    assert not await store.work.put("photos", "act", "id1", b"2")
    assert await store.work.put("photos", "other", "id1", b"3")
    async with asyncio.timeout(PATIENCE), aclosing(store.work.pull("photos")) as calls:
        for _ in range(2):
            await (await anext(calls)).ack()
    # Deleted, and still in the server's memory of message ids.

    async def empty() -> bool:
        return (await store.js.stream_info("WORK")).state.messages == 0

    await until(empty)
    assert not await store.work.put("photos", "act", "id1", b"4")


async def test_an_apps_calls_wait_for_no_other_app(store):
    for number in range(300):
        await store.work.put("slow", "act", f"s{number}", b"")
    await store.work.put("quick", "act", "q", b"")
    async with asyncio.timeout(PATIENCE), aclosing(store.work.pull("slow")) as slow:
        await anext(slow)
        async with aclosing(store.work.pull("quick")) as quick:
            assert (await anext(quick)).id == "q"


async def test_a_full_queue_refuses_and_the_log_goes_on(connection, make):
    small = dict(StoreSettings().max_bytes) | {"WORK": 10_000}
    async with open_store(connection, settings=StoreSettings(max_bytes=small)) as store:
        with pytest.raises(Unavailable, match="maximum bytes"):
            for number in range(20):
                await store.work.put("photos", "act", f"s{number}", b"x" * 1000)
        await store.append(make.tx(make.event("a")))


async def test_a_runs_last_state_replaces_the_one_before(store):
    first = await store.runs.put("photos", "act", "r1", b"NEW")
    second = await store.runs.put("photos", "act", "r1", b"DONE", ttl=3600)
    assert second > first
    assert await store.runs.last("photos", "act", "r1") == b"DONE"
    assert await store.runs.last("photos", "act", "r2") is None
    assert (await store.js.stream_info("RUNS")).state.messages == 1


async def test_of_two_nodes_that_take_a_run_one_gets_it(store):
    sequence = await store.runs.put("photos", "act", "r1", b"NEW", expected=0)
    results = await asyncio.gather(
        *(store.runs.put("photos", "act", "r1", f"taken by {n}".encode(), expected=sequence) for n in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_runs_are_followed_from_a_sequence_on(store):
    await store.runs.put("photos", "act", "r1", b"1")
    await store.runs.put("core", "act", "r2", b"2")
    async with asyncio.timeout(PATIENCE), aclosing(store.runs.follow(1)) as batches:
        [state] = await anext(batches)
        assert (state.sequence, state.subject, state.body) == (2, "run.core.act.r2", b"2")
        await store.runs.put("photos", "act", "r1", b"3")
        assert [found.body for found in await anext(batches)] == [b"3"]
    assert await store.runs.last_sequence() == 3


async def test_a_state_with_a_time_to_live_expires_and_others_stay(store, until):
    await store.runs.put("photos", "act", "done", b"DONE", ttl=1)
    await store.runs.put("photos", "act", "failed", b"FAILED")

    async def gone() -> bool:
        return await store.runs.last("photos", "act", "done") is None

    await until(gone)
    assert await store.runs.last("photos", "act", "failed") == b"FAILED"


async def test_an_audit_record_is_kept_under_its_kind(store):
    await store.audit({"kind": "call", "actor": "app:photos"})
    assert (await store.js.get_last_msg("AUDIT", "audit.call")).data == (b'{"kind":"call","actor":"app:photos"}')
    with pytest.raises(Rejected):
        await store.audit({"actor": "owner"})


async def test_an_archive_is_returned_byte_by_byte(store):
    data = bytes(range(256)) * 2000
    await store.archives.put("a" * 64, data)
    await store.archives.put("a" * 64, data)
    assert await store.archives.get("a" * 64) == data
    with pytest.raises(NotFound):
        await store.archives.get("b" * 64)


async def test_a_large_archive_goes_from_file_to_file(store, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(random.Random(1).randbytes(9_000_001))
    await store.archives.put("a" * 64, source)
    await store.archives.fetch("a" * 64, target)
    assert target.read_bytes() == source.read_bytes()
    bucket = await store.js.object_store("ARCHIVES")
    assert (await bucket.get("a" * 64)).data == source.read_bytes()
    with pytest.raises(NotFound):
        await store.archives.fetch("b" * 64, tmp_path / "none")
    assert not (tmp_path / "none").exists()


async def test_a_deleted_archive_takes_no_room_and_others_stay(store):
    async def held() -> int:
        return (await store.js.stream_info("OBJ_ARCHIVES")).state.messages

    await store.archives.put("a" * 64, bytes(2_000_000))
    kept = await held()
    await store.archives.put("b" * 64, bytes(3_000_000))
    assert await store.archives.names() == {"a" * 64, "b" * 64}
    for _ in range(2):
        await store.archives.delete("b" * 64)
    assert await store.archives.names() == {"a" * 64} and await held() == kept
    await store.archives.put("a" * 64, bytes(2_000_000))
    assert await held() == kept, "the pieces that were there before are gone"


async def test_the_rest_of_a_killed_upload_or_deletion_is_swept_away(store):
    await store.archives.put("a" * 64, b"kept")
    await store.archives.put("b" * 64, b"its entry goes, and the node with it")
    entry = base64.urlsafe_b64encode(b"b" * 64).decode()
    await store.js.purge_stream("OBJ_ARCHIVES", subject=f"$O.ARCHIVES.M.{entry}")
    await store.js.publish("$O.ARCHIVES.C.abandoned", b"a piece")
    assert await store.archives.sweep() == 2
    assert await store.archives.get("a" * 64) == b"kept" and await store.archives.sweep() == 0
    assert (await store.js.stream_info("OBJ_ARCHIVES")).state.messages == 2


async def test_an_archive_with_other_content_is_reported(store):
    await store.archives.put("a" * 64, b"right")
    [subject] = (await store.js.stream_info("OBJ_ARCHIVES", subjects_filter="$O.ARCHIVES.C.>")).state.subjects
    await store.js.purge_stream("OBJ_ARCHIVES", subject=subject)
    with pytest.raises(Corrupt, match="not what was stored"):
        await store.archives.get("a" * 64)
