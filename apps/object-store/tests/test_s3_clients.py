"""The S3 address as other programs see it: boto3 and rclone with credentials, and requests without."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError
from object_store.store import Store

from .conftest import client, in_thread


@pytest.fixture
async def issued(store: Store) -> dict[str, Any]:
    await store.create_bucket("app:photos", "images")
    return await store.issue_credentials("app:photos", "phone", "images", write=True)


async def test_boto3_puts_lists_gets_and_deletes(store: Store, issued: dict[str, Any]) -> None:
    s3 = client(store, issued["access_key"], issued["secret_key"])

    def story() -> None:
        s3.put_object(Bucket="images", Key="a/ü.txt", Body=b"hello", ContentType="text/plain")
        assert s3.head_object(Bucket="images", Key="a/ü.txt")["ContentType"] == "text/plain"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket="images")["Contents"]] == ["a/ü.txt"]
        assert s3.get_object(Bucket="images", Key="a/ü.txt")["Body"].read() == b"hello"
        assert s3.get_object(Bucket="images", Key="a/ü.txt", Range="bytes=1-2")["Body"].read() == b"el"
        s3.delete_object(Bucket="images", Key="a/ü.txt")
        assert "Contents" not in s3.list_objects_v2(Bucket="images")

    await in_thread(story)


async def test_boto3_uploads_in_parts(store: Store, issued: dict[str, Any], tmp_path: Path) -> None:
    from boto3.s3.transfer import TransferConfig

    s3 = client(store, issued["access_key"], issued["secret_key"])
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(17 << 20))
    settings = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    await in_thread(s3.upload_file, str(large), "images", "large.bin", Config=settings)
    await in_thread(s3.download_file, "images", "large.bin", str(tmp_path / "back.bin"), Config=settings)
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()


async def rclone(store: Store, issued: dict[str, Any], *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_STORE_TYPE": "s3", "RCLONE_CONFIG_STORE_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_STORE_ENDPOINT": store.endpoint, "RCLONE_CONFIG_STORE_REGION": issued["region"],
        "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": issued["access_key"],
        "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": issued["secret_key"], "RCLONE_CONFIG_STORE_NO_CHECK_BUCKET": "true",
        "RCLONE_S3_UPLOAD_CUTOFF": "6M", "RCLONE_S3_CHUNK_SIZE": "5M", "RCLONE_RETRIES": "1",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "rclone", *arguments, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_rclone_copies_lists_and_deletes(store: Store, issued: dict[str, Any], tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "sub").mkdir(parents=True)
    (source / "small.txt").write_text("hello")
    (source / "sub" / "large.bin").write_bytes(os.urandom(12 << 20))  # in parts
    await rclone(store, issued, "copy", str(source), "store:images")
    assert sorted((await rclone(store, issued, "lsf", "-R", "--files-only", "store:images")).split()) == [
        "small.txt",
        "sub/large.bin",
    ]
    await rclone(store, issued, "copy", "store:images", str(back))
    assert (back / "sub" / "large.bin").read_bytes() == (source / "sub" / "large.bin").read_bytes()
    await rclone(store, issued, "check", str(source), "store:images")
    await rclone(store, issued, "deletefile", "store:images/small.txt")
    assert (await rclone(store, issued, "lsf", "-R", "--files-only", "store:images")).split() == ["sub/large.bin"]


async def test_requests_without_credentials_are_refused(store: Store, issued: dict[str, Any]) -> None:
    s3 = client(store, issued["access_key"], issued["secret_key"])
    await in_thread(s3.put_object, Bucket="images", Key="a.txt", Body=b"hello")
    for method, path in (("GET", "/"), ("GET", "/images"), ("GET", "/images/a.txt"), ("PUT", "/images/b.txt"),
                         ("DELETE", "/images/a.txt"), ("PUT", "/mine")):  # fmt: skip
        assert await in_thread(status, f"{store.endpoint}{path}", method) == 403, (method, path)
    for wrong in (client(store, issued["access_key"], "wrong"), client(store, "PCUNKNOWN", "wrong")):
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidAccessKeyId"):
            await in_thread(wrong.list_objects_v2, Bucket="images")


async def test_a_presigned_address_works_only_for_its_purpose(store: Store) -> None:
    await store.create_bucket("app:photos", "images")
    key = "sub/a b+c#%.txt"
    put = (await store.put_object("app:photos", "images", key, 60, "text/plain"))["url"]
    assert await in_thread(status, put, "PUT", b"hello") == 200
    get = (await store.get_object("app:photos", "images", key, 60))["url"]
    assert await in_thread(lambda: urlopen(get).read()) == b"hello"
    assert await in_thread(status, get, "PUT", b"other") == 403
    assert await in_thread(status, get.replace("sub", "sup")) == 403


def status(url: str, method: str = "GET", body: bytes | None = None) -> int:
    from urllib.error import HTTPError

    try:
        with urlopen(Request(url, data=body, method=method)) as answer:
            return answer.status
    except HTTPError as error:
        return error.code
