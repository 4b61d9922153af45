"""A node of today's program on a release's data."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.node_process import NodeProcess
from tests.releases.make import s3_client
from tests.waiting import wait_until

# Python 3.11.2, Debian 12's, knows no filters.
SAFE: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
RELEASES = sorted(Path(__file__).parent.glob("*.tar.xz"))


@dataclass
class Opened:
    """`facts`: what the release stored; see `make`."""

    node: NodeProcess
    facts: dict[str, Any]

    def states(self) -> dict[str, str]:
        return {app["name"]: app["state"] for app in self.node.status()["apps"]}

    def storage(self) -> Any:
        """S3 at the address and with the keys that the device was given, once it answers."""
        s3 = self.facts["device"]["s3"]
        client, said = s3_client(s3), [""]

        def answers() -> bool:
            try:
                client.head_bucket(Bucket=s3["bucket"])
            except (BotoCoreError, ClientError) as error:
                said[0] = str(error)
                return False
            return True

        try:
            wait_until(answers, what="S3")
        except AssertionError as error:
            log = self.node.cli("app", "logs", "object-store", check=False).stdout[-2000:]
            raise AssertionError(f"{error}: {said[0]}; apps: {self.states()}; its log:\n{log}") from error
        return client


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, **SAFE)
    # This machine's clock may be before the day on which the data was made.
    with NodeProcess(folder / "data", "--trust-clock") as node:
        yield Opened(node, json.loads((folder / "facts.json").read_text()))
