"""weed's control ports obey only this app: each of these attacks works with weed's defaults."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path
from urllib.error import URLError

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from object_store.store import Store
from object_store.weed.ports import GRPC_OFFSET

from .conftest import client, in_thread
from .test_s3_clients import status


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.create_bucket("app:photos", "images")
    await in_thread(client(store).put_object, Bucket="images", Key="a.txt", Body=bytes(100_000))
    return store


async def assert_still_there(store: Store) -> None:
    answer = await in_thread(client(store).get_object, Bucket="images", Key="a.txt")
    assert await in_thread(answer["Body"].read) == bytes(100_000)


async def test_the_master_does_not_delete_a_collection(filled: Store) -> None:
    for part in ("master", "filer", "volume", "admin"):
        port = getattr(filled.server.ports, part)
        for path in ("/col/delete?collection=images", "/vol/vacuum", "/dir/assign", "/buckets/images/a.txt"):
            for method in ("GET", "POST", "DELETE"):
                assert await in_thread(refused, f"http://127.0.0.1:{port}{path}", method), (part, path)
    await assert_still_there(filled)


def refused(url: str, method: str) -> bool:
    """Return True if the request had no effect; a part that does not listen yet, or never does, refuses it too."""
    try:
        return status(url, method) >= 400
    except URLError as error:
        return isinstance(error.reason, ConnectionRefusedError)


async def test_the_volume_server_wants_a_signed_token(filled: Store) -> None:
    port = filled.server.ports.volume
    for method in ("GET", "PUT", "DELETE"):
        for volume in range(1, 9):
            assert await in_thread(status, f"http://127.0.0.1:{port}/{volume},01637037d6", method, b"x") in (401, 404)
    await assert_still_there(filled)


@pytest.mark.parametrize("part", ["weed_s3", "filer", "master", "volume", "admin"])
async def test_grpc_refuses_clients_without_a_certificate(store: Store, part: str) -> None:
    port = getattr(store.server.ports, part) + GRPC_OFFSET
    authority = store.server.certificate.authority.read_bytes()
    own_authority = grpc.ssl_channel_credentials(authority)
    addresses = [f"127.0.0.1:{port}", f"unix:/tmp/seaweedfs-{part.removeprefix('weed_')}-grpc-{port}.sock"]
    for address in addresses:
        options = [("grpc.ssl_target_name_override", "localhost")]
        for channel in (grpc.insecure_channel(address), grpc.secure_channel(address, own_authority, options)):
            with channel, pytest.raises(grpc.RpcError):
                await in_thread(lambda opened: ProtoReflectionDescriptorDatabase(opened).get_services(), channel)


async def test_weed_shell_without_a_certificate_changes_nothing(filled: Store, tmp_path: Path) -> None:
    ports = filled.server.ports
    process = await asyncio.create_subprocess_exec(
        "weed", "shell", f"-master=127.0.0.1:{ports.master}", f"-filer=127.0.0.1:{ports.filer}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(4):
            output, _ = await process.communicate(
                b"lock\ns3.bucket.delete -name=images\ns3.configure\ncollection.list\n"
            )
            assert b"images" not in output.replace(b"s3.bucket.delete -name=images", b"")
    except TimeoutError:  # it keeps asking the master, which does not let it in
        process.kill()
        await process.wait()
    await assert_still_there(filled)


async def test_everything_listens_on_loopback_only(store: Store) -> None:
    assert store.server.process
    inodes = set[str]()
    for descriptor in Path(f"/proc/{store.server.process.pid}/fd").iterdir():
        inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    listening = set[tuple[str, int]]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, _, state, inode = (line.split()[column] for column in (1, 2, 3, 9))
            if state == "0A" and inode in inodes:
                address, port = local.split(":")
                listening.add((address, int(port, 16)))
    known = set(asdict(store.server.ports).values())
    assert {port for _, port in listening} <= known | {port + GRPC_OFFSET for port in known}
    assert {address for address, _ in listening} == {"0100007F"}


async def test_secrets_are_readable_by_their_owner_alone(store: Store) -> None:
    folder = store.server.folder
    for place in (folder.root, folder.data, folder.private):
        assert place.stat().st_mode & 0o077 == 0
    for name in ("secrets.json", "security.toml", "identities.json", "key.pem"):
        assert (folder.private / name).stat().st_mode & 0o077 == 0
    assert store.server.process
    command = Path(f"/proc/{store.server.process.pid}/cmdline").read_bytes().decode()
    assert store.server.secrets.admin.secret_key not in command and "-master.telemetry=false" in command
