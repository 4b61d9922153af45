"""`App`: everything that an application needs from PCloud, in one object.

    app = App()
    app.run()

`App` reads nothing and connects nowhere before its first use, so tests can import an app's modules.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pcloud.action import ActionHandler
from pcloud.context import CallContext, current_call, own_work
from pcloud.environment import Environment
from pcloud.errors import PCloudError, Rejected, Unavailable
from pcloud.gateway import Gateway, fail_for
from pcloud.graph import Graph
from pcloud.lifecycle import Background, Shutdown, kept, reasons
from pcloud.objects import Objects
from pcloud.readiness import Readiness
from pcloud.subject import split_name
from pcloud.subscription import GraphEvent, follow_events

if TYPE_CHECKING:
    from aiohttp import web

    from pcloud.bus import BusSettings
    from pcloud.web import User

__all__ = ["App"]

LONGEST_CALL = 3600.0
Handler = TypeVar("Handler", bound=Callable[..., Any])
Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


class App:
    """One application process.

    `variables`: used instead of the process's environment (in tests). `bus`: limits for calls. `grace`: seconds that
    running calls have to finish after SIGTERM.
    """

    def __init__(
        self, variables: Mapping[str, str] | None = None, *, bus: BusSettings | None = None, grace: float = 10.0
    ) -> None:
        self._variables = variables
        self._bus_settings = bus
        self._grace = grace
        self._actions = dict[str, ActionHandler]()
        self._backgrounds = list[Background]()
        self._lifespans = list[Lifespan]()
        self._unsigned = list[Any]()
        self._shutdown: Shutdown | None = None

    # What the node provides

    @cached_property
    def environment(self) -> Environment:
        return Environment.read(os.environ if self._variables is None else self._variables)

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def data(self) -> Path:
        """The app's own folder, the only one that it may write to."""
        return self.environment.data

    @property
    def settings(self) -> Mapping[str, Any]:
        """The manifest's defaults, with the owner's values in their place."""
        return self.environment.settings

    @cached_property
    def log(self) -> logging.Logger:
        return logging.getLogger(self.name)

    # What the app offers

    @overload
    def action(self, name: Handler) -> Handler: ...
    @overload
    def action(self, name: str | None = None) -> Callable[[Handler], Handler]: ...
    def action(self, name: Any = None) -> Any:
        """Decorate the function that answers an action. Without `name`, the action is called like the function, with
        hyphens."""
        if callable(name):
            return self.action()(name)

        def decorate(function: Handler) -> Handler:
            action = ActionHandler(function, name)
            if action.name in self._actions:
                raise Rejected(f"the action {action.name} is answered by two functions: give one of them another name")
            self._actions[action.name] = action
            return function

        return decorate

    def background(self, function: Background) -> Background:
        """Run a coroutine function for as long as the app runs. If it fails, the app ends with the reason and is
        started again."""
        self._backgrounds.append(function)
        return function

    def lifespan(self, manager: Lifespan) -> Lifespan:
        """Enter an async context manager (`@asynccontextmanager`) before the first call and leave it after the last
        one."""
        self._lifespans.append(manager)
        return manager

    def not_ready(self, reason: str) -> None:
        """Report that the app can't answer calls now, and why: the owner sees the reason, and calls wait for `ready`.

        An app is ready until it says otherwise. Say so for what ends without a call: a server of the app's that starts
        again, a model that is loading. Returns at once; call it from the event loop.
        """
        self._readiness.become(reason or "it did not say why")

    def degraded(self, reason: str) -> None:
        """Report that the app answers calls, but not everything works, and why: the owner sees the reason, and calls
        don't wait. Say so for a disk without room, or a camera that is off."""
        self._readiness.become(reason or "it did not say why", serves=True)

    def ready(self) -> None:
        """Report that all works (again)."""
        self._readiness.become("")

    @cached_property
    def _readiness(self) -> Readiness:
        return Readiness(lambda: self.gateway)

    @cached_property
    def web(self) -> web.Application:
        """The app's web server (`web: true`), served on 127.0.0.1:PORT: add routes to it.

        It answers only requests that came through PCloud. What a handler asks of PCloud is asked on behalf of its
        visitor: it may do what both the visitor and the app may do. See `unsigned` and `own_work`.
        """
        from pcloud.web import application

        return application(lambda: self.environment, self._unsigned)

    def unsigned(self, handler: Handler) -> Handler:
        """Decorate a handler of `web` that also answers requests without PCloud's signature, from any process that can
        reach the port."""
        self._unsigned.append(handler)
        return handler

    def own_work(self) -> AbstractContextManager[None]:
        """A context manager: requests to PCloud in this block, and in tasks started in it, are made by the app alone
        with the app's grants, without the visitor. Use it for work that serves all visitors or continues after the
        visitor's request."""
        return own_work()

    def user(self, request: web.Request) -> User:
        """The visitor, as signed by PCloud; raises HTTP 403 for a request that did not come through PCloud."""
        from pcloud.web import user_of

        return user_of(request, self.environment)

    # What the app asks for

    @cached_property
    def gateway(self) -> Gateway:
        return Gateway(self.environment.url)

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.gateway)

    @cached_property
    def objects(self) -> Objects:
        """The object store, as far as the app was granted its calls."""
        return Objects(self)

    def context(self) -> CallContext:
        """The call being answered; raises `Rejected` outside of a handler."""
        if call := current_call():
            return call
        raise Rejected("app.context() is only available inside an action's handler")

    async def call(
        self, target: str, arguments: Mapping[str, Any] | None = None, /, *, timeout: float | None = None,
        actions: Mapping[str, str] | None = None, **named: Any,
    ) -> Any:  # fmt: skip
        """Call `app/action`, `role:ROLE/action` or `capability:…` and wait for its result.

        `actions`: the actions that the called app may call from then on, as `app/action` by argument: `{"webhook":
        "mine/told"}`. Pass an argument named `timeout` or `actions` in the mapping. Raises the error that the called
        action raised, chosen by its code.
        """
        call = current_call()
        seconds = min(timeout or (call.remaining if call else 60.0), LONGEST_CALL)
        if seconds <= 0:
            raise Unavailable(
                f"there is no time left to call {target}: the deadline of {call and call.action} has passed"
            )
        body = {"args": {**(arguments or {}), **named}} | ({"actions": actions} if actions else {})
        headers = {"Pcloud-Timeout": f"{seconds:.3f}"}
        answer = await self.gateway.post(f"/call/{target}", body, headers, timeout=seconds + 5, repeatable=False)
        fail_for(answer)
        return answer.body.get("result")

    async def send(
        self, target: str, arguments: Mapping[str, Any] | None = None, /, *, key: str | None = None,
        actions: Mapping[str, str] | None = None, **named: Any,
    ) -> str:  # fmt: skip
        """Like `call`, but durable: the call is stored, then `send` returns the run's id, and PCloud tries the call
        until it works, as long as the app may still make it. If the right to make it has ended, the run becomes FAILED
        and the owner sees it.

        Calls with the same `key` run once. Inside a run, `key` may be left out: then calls with the same arguments run
        once. Pass an argument named `key` or `actions` in the mapping.
        """
        call = current_call()
        if key is None and not (call and call.run):
            key = secrets.token_hex(16)
        body: dict[str, Any] = {"args": {**(arguments or {}), **named}} | ({"key": key} if key else {})
        body |= {"actions": actions} if actions else {}
        answer = await self.gateway.post(f"/send/{target}", body, {}, timeout=30.0)
        fail_for(answer)
        return str(answer.body.get("id", ""))

    async def callers(self) -> dict[str, dict[str, int]]:
        """The callers that may call the app's actions now: for each caller, named as in `context().caller`, the
        actions, and since when it has had the right without a break, as a number that changes if the right was
        withdrawn and given again.

        For an app with the internal action `callers-changed`, which PCloud calls after a caller has lost a right. An
        app that hands out keys or addresses of its own asks at its start and in that action, and revokes those whose
        right has ended.
        """
        answer = await self.gateway.post("/callers", {}, {}, timeout=30.0)
        fail_for(answer)
        return dict(answer.body.get("callers") or {})

    def events(
        self, type: str, after: str | None = None, *, node: str = "", name: str = ""
    ) -> AsyncGenerator[GraphEvent, None]:
        """The events of a type (`image-importer/Image`) as they happen, from the revision `after` or from now on,
        without end.

        `node`: the fields of the entity to include (`"id title"`). `name`: the type's name in the app's view, if the
        manifest gives it another one (`as:`). After a lost connection, the stream continues after the last event.
        """
        return follow_events(self.graph, self.gateway.seen, name or split_name(type)[1], after, node)

    # Running

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then end the process with 0. If the app fails, end it with 1 and the
        reason."""
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        try:
            asyncio.run(self.serve())
        except (PCloudError, BaseExceptionGroup) as error:
            if told := reasons(error):
                sys.exit("; ".join(told))
            raise

    def stop(self) -> None:
        """Ask a running `serve` to end as it does on SIGTERM."""
        if self._shutdown is not None:
            self._shutdown.ask()

    async def serve(self, ready: Callable[[], None] | None = None) -> None:
        """Serve like `run`, in the running event loop. Calls `ready` once calls are accepted."""
        self._shutdown = shutdown = Shutdown()
        with shutdown.on_signals():
            async with AsyncExitStack() as stack:
                await self._open(stack)
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(kept(function)) for function in self._backgrounds]
                    try:
                        async with self._taking_calls():
                            self.log.info("ready; actions: %s", ", ".join(sorted(self._actions)) or "none")
                            if ready:
                                ready()
                            await shutdown.wait()
                            self.log.info("stopping")
                    finally:
                        for task in tasks:
                            task.cancel()

    async def _open(self, stack: AsyncExitStack) -> None:
        """Open what is closed again after the last call, in reverse order."""
        stack.push_async_callback(self.gateway.close)
        stack.push_async_callback(self.objects.close)
        stack.push_async_callback(_close_bounded)
        await stack.enter_async_context(self._readiness.reported())
        for lifespan in self._lifespans:
            await stack.enter_async_context(lifespan())
        if "web" in self.__dict__:  # exists only if the app has used it
            from pcloud.web import serve_web

            await stack.enter_async_context(serve_web(self.web, self.environment.port))

    @asynccontextmanager
    async def _taking_calls(self) -> AsyncGenerator[None, None]:
        """FastStream is loaded only here, so that an app without actions does not pay for it."""
        if not self._actions:
            yield
            return
        from pcloud.bus import Bus, BusSettings

        bus = Bus(self.environment, self._actions, self._bus_settings or BusSettings())
        await bus.start()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(bus.watch())
                yield
                watch.cancel()
        finally:
            await bus.stop(self._grace)


async def _close_bounded() -> None:
    """Close the bounded processes, if the app has loaded that module; loading it only for this would cost time."""
    if bounded := sys.modules.get("pcloud.bounded"):
        await bounded.close_bounded()
