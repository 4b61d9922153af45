"""Presigned addresses are those that AWS's own library makes."""

from __future__ import annotations

import calendar
import time
from urllib.parse import parse_qsl, quote, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from object_store.presign import presigned
from object_store.weed.secret import KeyPair

PAIR = KeyPair("PCABCDEF", "secret/key+1")
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@settings(max_examples=60)
@given(keys, st.sampled_from(["GET", "PUT"]), st.integers(1, 604_800))
def test_an_address_is_the_one_that_boto3_makes(key: str, method: str, seconds: int) -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url="http://127.0.0.1:9000", region_name="us-east-1", aws_access_key_id=PAIR.access_key,
        aws_secret_access_key=PAIR.secret_key, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )  # fmt: skip
    theirs = client.generate_presigned_url(
        {"GET": "get_object", "PUT": "put_object"}[method], {"Bucket": "images", "Key": key}, seconds
    )
    query = dict(parse_qsl(urlsplit(theirs).query))
    at = calendar.timegm(time.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    ours = presigned(method, f"http://127.0.0.1:9000/images/{quote(key, safe='/')}", {}, PAIR, "us-east-1", seconds, at)
    assert dict(parse_qsl(urlsplit(ours).query)) == query and urlsplit(ours).path == urlsplit(theirs).path
