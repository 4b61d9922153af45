"""Presigned addresses: AWS Signature Version 4 in the query, for S3
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).

For all keys, with control characters, empty parts or dots. The host is signed, so an address works under one name only.
Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import reduce
from urllib.parse import quote, urlsplit

from object_store.weed.secret import KeyPair

__all__ = ["presigned"]


def presigned(
    method: str, url: str, query: Mapping[str, str], pair: KeyPair, region: str, seconds: int, now: float | None = None
) -> str:
    """`url`: as sent, its path percent-encoded, without a query. `now`: unix seconds."""
    parts, at = urlsplit(url), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    signed = {
        **query, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{pair.access_key}/{scope}", "X-Amz-Date": at,
        "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host",
    }  # fmt: skip
    text = "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in signed.items()))
    request = "\n".join((method, parts.path or "/", text, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    to_sign = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = reduce(_mac, (at[:8], region, "s3", "aws4_request"), f"AWS4{pair.secret_key}".encode())
    return f"{url}?{text}&X-Amz-Signature={_mac(key, to_sign).hex()}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
