"""A cloud with two apps of the same code: `other`, which is honest, and `attacker`, which does what the tests order."""

from __future__ import annotations

import inspect
import json
import shutil
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.apps import packed
from pcloud.errors import PCloudError
from tests.integration.node.front import FrontDoor, open_front
from tests.node_process import NodeProcess, wait_until

CODE = Path(__file__).parent / "attacker"


class Cloud(NodeProcess):
    """A node whose apps run code for the tests."""

    def call(self, target: str, *, actions: dict[str, str] | None = None, **args: Any) -> Any:
        async def work(client: Any) -> Any:
            body = {"target": target, "args": args, "actions": actions or {}}
            return (await client.ask("POST", "/call", json_body=body))["result"]

        return self._with_client(work)

    def attack(self, attack: Callable[..., Any], *args: Any, app: str = "attacker") -> Any:
        """Run a function of a test inside an app, in a separate process, and return its result. It sees its arguments
        and its own imports, nothing else."""
        source = textwrap.dedent(inspect.getsource(attack))
        passed = json.dumps(json.dumps(args))
        code = (
            f"from __future__ import annotations\nimport json\n{source}\n"
            f"print(json.dumps({attack.__name__}(*json.loads({passed}))))\n"
        )
        done = self.call(f"{app}/attack", code=code)
        assert done["code"] == 0, f"the attack ended with {done['code']}: {done['err']}"
        return json.loads(done["out"].splitlines()[-1])

    def installed(self, name: str, **changes: str) -> bytes:
        """The attacker's archive under another name, with texts of its manifest replaced."""
        folder = self.data.parent / f"{name}-source"
        shutil.copytree(CODE, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        text = (folder / "app.yaml").read_text().replace("name: attacker", f"name: {name}", 1)
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "app.yaml").write_text(text)
        return packed(folder).data

    def serves_others(self) -> None:
        """Check that another app answers, and the API."""
        assert self.call("other/greet", name="Ada")["args"] == {"name": "Ada"}
        assert self.graphql("{ revision }")["revision"]

    def audited(self, *, app: str = "attacker", **wanted: Any) -> dict[str, Any]:
        """Wait for an audit record about an app with these values and return it; texts need only be contained in it."""

        def fits(record: dict[str, Any]) -> bool:
            return all(
                value in str(record.get(key, "")) if isinstance(value, str) else record.get(key) == value
                for key, value in wanted.items()
            )

        def found() -> list[dict[str, Any]]:
            query = "query($app: String) { audit(first: 300, app: $app) }"
            return [record for record in self.graphql(query, {"app": app})["audit"] if fits(record)]

        return wait_until(found, what=f"an audit record {wanted}")[0]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running node with both apps."""
    with Cloud(tmp_path_factory.mktemp("cloud") / "node") as node:
        node.install_archive(
            node.installed("other", **{"  - call: other/greet": "  - call: attacker/greet\n    optional: true"})
        )
        node.install_archive(node.installed("attacker"))
        yield node


@pytest.fixture
def others_are_served(cloud: Cloud) -> Iterator[None]:
    """Whatever an attack does, the other apps keep running."""
    yield
    cloud.serves_others()


@pytest.fixture
async def front() -> AsyncIterator[FrontDoor]:
    """Core's web front alone, before an app's pages."""
    async with open_front() as door:
        yield door


def refused(code: str, action: Callable[[], Any]) -> str:
    """Return the message of the error with this code that `action` raises."""
    with pytest.raises(PCloudError) as caught:
        action()
    assert caught.value.code == code, caught.value
    return caught.value.message
