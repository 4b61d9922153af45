"""The event processor and calls as the owner, a device and an app's page reach them over GraphQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.access.caller import Caller
from core.front.platform.calls import call_fields
from core.front.platform.runs import processor_fields
from core.graph.api import Api, Sources
from pcloud.errors import Rejected
from projections.search.tantivy import open_tantivy_search
from tests.integration.processor.small_core import OWNER, SHELF, Call, Core
from tests.waiting import until

READER = {
    "name": "reader", "version": "1.0.0",
    "actions": [{"name": "read", "args": {"book": "ID!"}}, {"name": "watch", "args": {"webhook": "Action!"}}],
    "triggers": [{"name": "new-books", "on": {"type": "shelf/Book"}, "action": "read", "args": {"book": "{{ event.id }}"}}],
}  # fmt: skip


@pytest.fixture
async def api(core: Core, tmp_path: Path) -> AsyncGenerator[Api]:
    search = await open_tantivy_search(tmp_path / "search", core.graph)
    api = Api(Sources(core.store, core.graph, core.loop, core.loop, search, core.loop), core.views, core.commands)
    api.add_fields(call_fields(core.calls))
    api.add_fields(processor_fields(core.processor))
    await core.install({"name": "shelf", "version": "1.0.0"}, SHELF)
    await core.install(READER, granted=(("read", "shelf/Book"),))
    yield api
    await api.close()
    await search.close()


async def ask(api: Api, query: str, caller: Caller = OWNER, **variables: Any) -> Any:
    _, body, _ = await api.execute(caller, {"query": query, "variables": variables}, {})
    return msgspec.json.decode(body)


CALL = 'mutation($args: JSON) { callAction(app: "reader", action: "read", args: $args) }'


async def test_call_action_answers_with_the_result_or_the_error(core: Core, api: Api) -> None:
    async def read(call: Call) -> Any:
        return {"read": call.args["book"]}

    await core.start_app("reader", read=read)
    page = Caller("person", "owner", through="reader")
    for caller in (OWNER, Caller("device", "d1", scopes=frozenset({"manage"})), page):
        assert (await ask(api, CALL, caller, args={"book": "b1"}))["data"] == {"callAction": {"read": "b1"}}
    refused = await ask(api, CALL, args={"book": 1.5})
    assert refused["errors"][0]["extensions"]["code"] == "REJECTED"
    stranger = await ask(api, CALL, Caller("person", "owner", through="shelf"), args={"book": "b1"})
    assert stranger["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "errors" in await ask(api, CALL, Caller("app", "reader"), args={"book": "b1"})


HAND = 'mutation($actions: JSON, $args: JSON) { callAction(app: "reader", action: "watch", args: $args, actions: $actions) }'


async def test_call_action_hands_over_what_its_caller_may_call(core: Core, api: Api) -> None:
    async def watch(call: Call) -> Any:
        return call.args["webhook"].partition(":")[0]

    await core.start_app("reader", watch=watch)
    own, anothers = {"webhook": "reader/read"}, {"webhook": "shelf/lend"}
    page = Caller("person", "owner", through="reader")
    for caller in (OWNER, page):
        assert (await ask(api, HAND, caller, actions=own))["data"] == {"callAction": "capability"}
    codes = [
        (await ask(api, HAND, caller, **given))["errors"][0]["extensions"]["code"]
        for caller, given in (
            (page, {"actions": anothers}), (OWNER, {"actions": {"webhook": 1}}), (OWNER, {"actions": ["reader/read"]}),
            (OWNER, {"args": own}), (OWNER, {"args": {"webhook": "action:reader/read"}}), (OWNER, {}),
        )
    ]  # fmt: skip
    assert codes == ["FORBIDDEN", *["REJECTED"] * 5]


async def test_the_owner_lists_retries_dismisses_and_replays(core: Core, api: Api) -> None:
    healed = False

    async def read(call: Call) -> Any:
        if not healed:
            raise Rejected("ill")

    app = await core.start_app("reader", read=read)
    await core.add("b1", title="Emma")
    await core.add("b2", title="Emma")
    await core.run_of("FAILED", 2)
    answer = await ask(api, 'query { runs(state: "FAILED", first: 1) runCounts }')
    (run,) = answer["data"]["runs"]
    assert (run["entity"], run["error"]["message"]) == ("shelf/Book/b2", "reader/read: ill")
    assert answer["data"]["runCounts"]["FAILED"] == 2
    query = "query($after: String) { runs(after: $after) }"
    (older,) = (await ask(api, query, after=run["_cursor"]))["data"]["runs"]
    assert older["entity"] == "shelf/Book/b1"
    healed = True
    assert "errors" not in await ask(api, "mutation($id: String!) { retryRun(id: $id) }", id=run["id"])
    await core.run_of("DONE")
    again = await ask(api, "mutation($id: String!) { retryRun(id: $id) }", id=run["id"])
    assert again["errors"][0]["extensions"]["code"] == "CONFLICT"
    await ask(api, "mutation($id: String!) { dismissRun(id: $id) }", id=older["id"])
    replayed = await ask(api, 'mutation { replay(trigger: "reader/new-books") }')
    assert replayed["data"]["replay"]["events"] == 2
    await until(lambda: len(app.calls) == 5)
    hidden = await ask(api, "query { runs }", Caller("person", "owner", through="reader"))
    assert "errors" in hidden
