"""S3 users of weed: each has one key pair and one policy for one bucket or one folder in it.

They are made over the filer's gRPC, which requires the certificate and a signed token; the S3 port offers no IAM. A
revoked user is removed completely.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import Any

import jwt

from object_store.weed.filer import Filer
from object_store.weed.secret import KeyPair

__all__ = ["Identities", "policy"]

_SERVICE = "iam_pb.SeaweedIdentityAccessManagement"
_ON_OBJECTS = {
    "read": ["s3:GetObject", "s3:GetObjectTagging"],
    "write": ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObjectTagging"],
    "delete": ["s3:DeleteObject"],
}


def policy(bucket: str, prefix: str, may: Collection[str]) -> dict[str, Any]:
    """An AWS policy document. `prefix` ends in /, or is '' for the whole bucket. `may`: of read, write, delete; also to
    list."""
    whole = f"arn:aws:s3:::{bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [whole]}
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*"]}}
    else:
        listing["Action"] += ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    actions = [action for right in sorted(may) for action in _ON_OBJECTS[right]]
    objects = {"Effect": "Allow", "Action": actions, "Resource": [f"{whole}/{prefix}*"]}
    return {"Version": "2012-10-17", "Statement": [objects, listing]}


class Identities:
    """`signing_key`: weed's jwt.filer_signing key."""

    def __init__(self, filer: Filer, signing_key: str) -> None:
        self._filer, self._key = filer, signing_key

    async def add(self, user: str, pair: KeyPair, document: dict[str, Any]) -> None:
        await self._call("PutPolicy", name=user, content=json.dumps(document))
        credential = self._filer.message(
            "iam_pb.Credential", access_key=pair.access_key, secret_key=pair.secret_key, status="Active"
        )
        identity = self._filer.message("iam_pb.Identity", name=user, credentials=[credential], policy_names=[user])
        await self._call("CreateUser", identity=identity)

    async def remove(self, user: str) -> None:
        """Remove the user first: then the key is dead, whatever happens to the policy. Does nothing if the user does
        not exist."""
        if user in (await self._call("ListUsers")).usernames:
            await self._call("DeleteUser", username=user)
        await self._call("DeletePolicy", name=user)

    async def _call(self, method: str, /, **fields: Any) -> Any:
        token = jwt.encode({"exp": int(time.time()) + 10}, self._key, algorithm="HS256")
        return await self._filer.call(f"{_SERVICE}/{method}", token=token, **fields)
