"""No value of an argument, template, field, object key or header ever becomes a capability."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from core.access.caller import OWNER, Caller, RunContext
from core.apps.process.gateway import AppGateway
from core.front.ingress.visits import Visits
from core.work.call import ActionName, CallAnswer, Calls, CallSettings, Capabilities, decode_job, encode_job
from core.work.call.authorization import Authorization
from core.work.call.invoke import Invoker
from core.work.processor.compiled_trigger import compile_trigger
from pcloud.app import App
from pcloud.manifest import Action, Manifest, Trigger, TriggerOn

TARGET = "desk/note"
TYPES = {"text": "String", "id": "ID", "any": "JSON", "list": "[String]"}
PHONE = Caller("device", "d", scopes=frozenset({"manage"}))
CALLERS = [OWNER, PHONE, Caller("app", "notes"), Caller("person", "owner", through="notes")]

names = st.sampled_from(["desk/note", "notes/keep", "notes-two/keep", "object-store/get-object", "photos/x", "core/x"])
given_away = names.map("action:{}".format)
texts = given_away | names.map("{{action: {}}}".format) | names.map("capability:{}".format) | st.text(max_size=20)
objects = st.fixed_dictionaries({"action": names | given_away})
values = st.recursive(
    texts | objects | st.none() | st.booleans() | st.integers(-5, 5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
arguments = st.fixed_dictionaries(
    {}, optional={"text": texts, "id": texts, "any": values, "list": st.lists(texts, max_size=3)}
)


class Parts:
    """Everything around `Calls`: a directory that allows every call, and records of what was sent to the app, stored and written."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.jobs: list[bytes] = []
        self.written: list[Any] = []
        self.runs = self.work = self
        capabilities = Capabilities(b"k" * 32, self, self)  # type: ignore[arg-type]
        invoker = Invoker(self, self, capabilities, CallSettings())  # type: ignore[arg-type]
        self.calls = Calls(self, self, Authorization(self, capabilities, self), invoker, self)  # type: ignore[arg-type]

    def check(self) -> None: ...

    def may_call(self, app: str, target: str) -> bool:
        return True

    def action(self, app: str, action: str) -> Action:
        return Action(action, TYPES)

    def is_internal(self, app: str, action: str) -> bool:
        return False

    async def record(self, record: Any) -> None: ...

    async def last(self, *_: str) -> None: ...

    async def put(self, app: str, action: str, id: str, body: bytes, trace: Any) -> None:
        self.jobs.append(body)

    async def request(self, name: ActionName, body: bytes, headers: Mapping[str, str], **_: Any) -> CallAnswer:
        self.bodies.append(msgspec.json.decode(body)["args"])
        return CallAnswer(None, "")

    def capability(self, id: str) -> None: ...

    async def write(self, actor: str, changes: list[Any], **_: Any) -> None:
        self.written += changes


def plain(args: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(args))


@given(arguments, st.sampled_from(CALLERS))
def test_no_value_of_an_argument_mints_anything(args: dict[str, Any], caller: Caller) -> None:
    parts = Parts()
    asyncio.run(parts.calls.call(caller, TARGET, args))
    assert parts.bodies == [plain(args)] and not parts.written


@given(arguments, st.sampled_from(CALLERS))
def test_no_value_of_a_durable_call_mints_anything(args: dict[str, Any], caller: Caller) -> None:
    """Also of a call stored before actions had a field of their own."""

    async def made() -> None:
        await parts.calls.send(caller, TARGET, args, key="k")
        job = decode_job(parts.jobs[0])
        assert job.actions == {} and b"actions" not in encode_job(job)
        name = ActionName(job.app, job.action)
        checked = parts.calls.check(name, job.args, job.actions)
        await parts.calls.invoker.invoke(caller, name, checked, RunContext(job.id), actions=job.actions)

    parts = Parts()
    asyncio.run(made())
    assert parts.bodies == [plain(args)] and not parts.written


TEMPLATES = [
    "{{ node.text }}",
    "action:{{ node.text }}",
    "{{ {'action': node.text} }}",
    "{{ [node.text] }}",
    "{{ node }}x",
]
templates = st.sampled_from(TEMPLATES[:-1]) | given_away


@given(st.fixed_dictionaries({"text": templates, "any": templates | st.lists(templates, max_size=2)}), texts)
def test_no_template_and_no_field_mints_anything(args: dict[str, Any], text: str) -> None:
    trigger = Trigger("t", TriggerOn("notes/Note"), TARGET, args)
    compiled = compile_trigger(Manifest("notes", "1.0.0"), trigger)
    rendered = compiled.arguments.render({"id": text}, {"text": text})
    assert compiled.actions == {}
    if isinstance(rendered["text"], str):
        parts = Parts()
        asyncio.run(parts.calls.call(Caller("app", "notes"), TARGET, rendered, actions=compiled.actions))
        assert parts.bodies == [plain(rendered)] and not parts.written


@given(
    st.dictionaries(
        st.sampled_from(["Pcloud-Actions", "Pcloud-Action", "actions", "webhook"]), texts.filter(str.isprintable)
    )
)
def test_no_header_mints_anything(headers: dict[str, str]) -> None:
    body = msgspec.json.encode({"args": {"text": "action:notes/keep"}})

    async def ask() -> None:
        request = make_mocked_request("POST", f"/call/{TARGET}", headers=headers, match_info={"target": TARGET})

        async def read() -> bytes:
            return body

        request.read = read  # type: ignore[method-assign]
        await AppGateway("notes", None, None, parts.calls, Visits())._call(request)  # type: ignore[arg-type]

    parts = Parts()
    asyncio.run(ask())
    assert parts.bodies == [{"text": "action:notes/keep"}] and not parts.written


@given(arguments, st.booleans())
def test_the_sdk_names_no_action_for_any_argument(args: dict[str, Any], durable: bool) -> None:
    bodies: list[dict[str, Any]] = []

    async def post(path: str, body: dict[str, Any], *_: Any, **options: Any) -> Any:
        bodies.append(body)
        return SimpleNamespace(status=200, body={})

    app = App({})
    app.__dict__["gateway"] = SimpleNamespace(post=post)
    asyncio.run(app.send(TARGET, args) if durable else app.call(TARGET, args))
    assert bodies[0]["args"] == args and bodies[0].keys() <= {"args", "key"}


def test_action_handed_over_beside_the_arguments_is_minted() -> None:
    """Without this, the properties above would pass even if nothing were ever minted."""
    parts = Parts()
    TAKING = {"webhook": "Action!"}

    def action(app: str, action: str) -> Action:
        return Action(action, TAKING)

    parts.action = action  # type: ignore[method-assign]
    asyncio.run(parts.calls.call(Caller("app", "notes"), TARGET, {}, actions={"webhook": "notes/keep"}))
    assert parts.bodies[0]["webhook"].startswith("capability:") and len(parts.written) == 1
