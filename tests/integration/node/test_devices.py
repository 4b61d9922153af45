"""Devices and secrets: a device's credentials work until it is revoked, and a secret is never in the log."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import aiohttp
import pytest
from botocore.exceptions import ClientError

from core.node.folder import runtime_folder
from core.people.owner.credential import token_hash
from tests.attacks.pages import device_asks
from tests.attacks.test_calls import code
from tests.integration.node.conftest import s3_client
from tests.node_process import NodeProcess
from tests.waiting import PATIENCE


def asked(address: str, token: str) -> int:
    request = urllib.request.Request(
        address,
        data=b'{"query": "{ __typename }"}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_devices_token_and_keys_work_until_it_is_revoked(cloud: NodeProcess) -> None:
    device = cloud.json("device", "pair", "--name", "Ada\u2019s phone", "--json")
    assert set(device) == {"id", "graphql", "token", "scopes", "s3"}
    assert set(device["s3"]) == {"endpoint", "access_key", "secret_key", "bucket"}
    client = s3_client(device["s3"])
    assert asked(device["graphql"], device["token"]) == 200
    client.put_object(Bucket="images", Key="phone/note.txt", Body=b"hello")
    cloud.cli("device", "revoke", device["id"])
    assert asked(device["graphql"], device["token"]) == 401
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="images", Key="phone/other.txt", Body=b"hello")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    states = {entry["id"]: entry["state"] for entry in cloud.json("device", "list", "--json")}
    assert states[device["id"]] == "revoked" and states[cloud.device["id"]] == "active"  # type: ignore[attr-defined]
    assert asked(device["graphql"], cloud.device["token"]) == 200  # type: ignore[attr-defined]  # the others go on


def test_a_device_that_may_upload_adds_files_and_does_nothing_else(cloud: NodeProcess) -> None:
    device = cloud.json("device", "pair", "--name", "scanner", "--scope", "upload", "--json")
    assert device["scopes"] == ["upload"]
    s3_client(device["s3"]).put_object(Bucket="images", Key="scanner/note.txt", Body=b"hello")
    query = 'mutation($action: String!, $args: JSON) { callAction(app: "role:object-storage", action: $action, args: $args) }'
    args = {"bucket": "images", "key": "scanner/b.txt"}
    for action, ends in (("put-object", ""), ("get-object", "FORBIDDEN"), ("delete-object", "FORBIDDEN")):
        _, answer = device_asks(cloud, device["token"], query, {"action": action, "args": args})
        assert code((0, answer))[1] == ends, answer
    for query in ("{ revision }", "mutation { deleteImageImporter_Image(filter: {}) { count } }"):
        assert code(device_asks(cloud, device["token"], query, {})) == (403, "FORBIDDEN")
    assert asked(device["graphql"], device["token"]) == 403
    assert {entry["id"]: entry["scopes"] for entry in cloud.json("device", "list", "--json")}[device["id"]] == [
        "upload"
    ]


def test_scopes_are_known_ones_and_apart_from_metrics(cloud: NodeProcess) -> None:
    for arguments in (("--scope", "everything"), ("--scope", "view", "--metrics")):
        assert cloud.cli("device", "pair", *arguments, check=False).returncode == 2


def test_revoking_closes_what_a_device_has_open(cloud: NodeProcess) -> None:
    asyncio.run(revoked_while_listening(cloud))


async def revoked_while_listening(cloud: NodeProcess) -> None:
    device = await asyncio.to_thread(cloud.json, "device", "pair", "--name", "tablet", "--json")
    headers = {"Authorization": f"Bearer {device['token']}"}
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        socket = await session.ws_connect(device["graphql"], headers=headers, protocols=["graphql-transport-ws"])
        await socket.send_json({"type": "connection_init"})
        assert (await socket.receive_json())["type"] == "connection_ack"
        await asyncio.to_thread(cloud.cli, "device", "revoke", device["id"])
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


def test_a_device_has_to_have_something_to_back_up_to(node: NodeProcess) -> None:
    result = node.cli("device", "pair", check=False)
    assert result.returncode == 3 and "install the apps object-store and image-importer" in result.stderr.replace(
        "\n", " "
    )
    assert node.json("device", "list", "--json") == []


def test_a_device_cannot_do_without_a_name(cloud: NodeProcess) -> None:
    for name in ("", "  ", "x" * 81):
        result = cloud.cli("device", "pair", "--name", name, check=False)
        assert result.returncode == 2 and "name" in result.stderr


async def everything(cloud: NodeProcess) -> bytes:
    """All messages of all streams, as they are on the disk: subjects, headers, bodies."""
    environment = cloud_credentials(cloud)
    import nats

    client = await nats.connect(
        environment["NATS_URL"], user=environment["NATS_USER"], password=environment["NATS_PASSWORD"]
    )
    seen = bytearray()
    try:
        js = client.jetstream()
        for info in await js.streams_info():
            for sequence in range(max(info.state.first_seq, 1), info.state.last_seq + 1):
                try:
                    message = await js.get_msg(info.config.name, sequence)
                except nats.js.errors.NotFoundError:
                    continue
                seen += f"{message.subject} {message.headers} ".encode() + (message.data or b"") + b"\n"
    finally:
        await client.close()
    return bytes(seen)


def cloud_credentials(cloud: NodeProcess) -> dict[str, str]:
    from core.cli.client import Client

    async def ask(client: Client) -> dict[str, str]:
        return await client.ask("GET", "/nats?write=true")

    return cloud._with_client(ask)


def test_no_secret_is_in_the_log(cloud: NodeProcess) -> None:
    device = cloud.device  # type: ignore[attr-defined]
    log = asyncio.run(everything(cloud))
    assert b"graph.core.Device." in log and b"graph.core.Owner.owner" in log
    for secret in (device["token"], device["s3"]["secret_key"], cloud.token, cloud_credentials(cloud)["NATS_PASSWORD"]):
        assert secret and secret.encode() not in log
    for path in cloud.data.glob("apps/*/keys/*"):
        assert path.read_bytes().strip() not in log
    assert token_hash(cloud.token).encode() in log
    assert token_hash(device["token"]).encode() in log


def test_no_secret_is_in_what_the_node_or_its_apps_said(cloud: NodeProcess) -> None:
    said = cloud.log.read_bytes() + b"".join(path.read_bytes() for path in cloud.data.glob("apps/*/log/*"))
    device = cloud.device  # type: ignore[attr-defined]
    for secret in (device["token"], device["s3"]["secret_key"], cloud.token):
        assert secret.encode() not in said


def test_only_the_owner_of_the_folder_reaches_the_sockets_and_the_secrets(cloud: NodeProcess) -> None:
    run = runtime_folder(cloud.data)
    assert run.stat().st_mode & 0o777 == 0o700
    assert (run / "admin.sock").stat().st_mode & 0o777 == 0o600
    assert cloud.data.stat().st_mode & 0o777 == 0o700
    secrets = [*cloud.data.glob("secrets/*"), *cloud.data.glob("apps/*/keys/*")]
    assert len(secrets) >= 3
    assert [path for path in secrets if path.stat().st_mode & 0o077] == []


def test_no_secret_is_on_a_command_line(cloud: NodeProcess) -> None:
    import psutil

    device = cloud.device  # type: ignore[attr-defined]
    password = cloud_credentials(cloud)["NATS_PASSWORD"]
    for pid in cloud.children():
        words = " ".join(psutil.Process(pid).cmdline())
        assert not [
            secret for secret in (device["token"], device["s3"]["secret_key"], cloud.token, password) if secret in words
        ]
