"""`pcloud up`, `pcloud status`, `pcloud signin-link`."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.backup_schedule import schedule_lines
from core.cli.client import open_client
from core.cli.public_address import PublicUrl, TrustedProxy, read_public_address
from core.cli.terminal import AsJson, DataOption, FilesOption, confirm, console, facts, plain, print_json, run
from core.node.logs import LogFormat, set_up_logs
from core.settings import DEFAULT_DOMAIN, DEFAULT_LISTEN, NodeSettings, parse_listen, read_graph_server
from core.trace import traces_wanted
from pcloud.errors import PCloudError

__all__ = ["go_back", "signin_link", "status", "up"]

OPEN_FILES = 65_536


def up(
    data: DataOption,
    files: FilesOption,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT of the web address; port 0 selects a free one.")
    ] = DEFAULT_LISTEN,
    domain: Annotated[str, typer.Option(help="The cloud's domain: apps are at APP.DOMAIN.")] = DEFAULT_DOMAIN,
    public_url: PublicUrl = "",
    trusted_proxy: TrustedProxy = None,
    unconfined: Annotated[
        bool, typer.Option("--unconfined", help="Run apps without a sandbox, including those that are not bundled.")
    ] = False,
    graph: Annotated[
        str, typer.Option(help="Where the graph is: sqlite, in the data folder, or neo4j://USER@HOST:7687.")
    ] = "sqlite",
    graph_password_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the password of the graph's server; or set the environment variable PCLOUD_GRAPH_PASSWORD."
        ),
    ] = None,
    trust_clock: Annotated[
        bool,
        typer.Option("--trust-clock", help="Write even if this machine's clock is before the newest event's time."),
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="The form of the log on standard error: text, or json with one object per line.")
    ] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run this node until SIGTERM or Ctrl-C."""
    from core.node.bootstrap import open_node
    from core.node.garbage import collect_less
    from core.node.stopping import ends_at_sigterm

    set_up_logs(log_format, verbose=verbose)
    allow_open_files()
    host, port = parse_listen(listen)
    server = read_graph_server(graph, graph_password_file, os.environ.pop("PCLOUD_GRAPH_PASSWORD", ""))
    public = read_public_address(public_url, trusted_proxy or [], domain)
    settings = NodeSettings(
        data=data, host=host, port=port, domain=public.domain, unconfined=unconfined, graph=server,
        public_url=public.url, trusted_proxies=public.proxies, files=files, traces=traces_wanted(os.environ), trust_clock=trust_clock,
    )  # fmt: skip

    async def work() -> None:
        with ends_at_sigterm():
            await stay_up()

    async def stay_up() -> None:
        async with open_node(settings) as node:
            collect_less()
            if settings.public_url:
                print(
                    f"For the reverse proxy of {settings.public_url}, this node listens at {node.listens}", flush=True
                )
            if in_journal():
                announce_in_journal(node.address, data, node.apps.warning)
            else:
                announce(node.address, node.new_owner_token, node.sign_in_link(node.address), data, node.apps.warning)
                if private := node.private_address:
                    announce_private(node.sign_in_link(private))
            await node.run_until_stopped()

    try:
        run(work())
    except Exception:
        say_way_back(data)
        raise


def say_way_back(data: Path) -> None:
    """After a start that failed: what to do if it was the first one after an update."""
    from core.node.data_version import PROGRAM, read_version, way_back
    from core.node.folder import DataFolder

    with suppress(PCloudError):
        now = read_version(DataFolder(data))
        if now is not None and now.program == PROGRAM and (text := way_back(now)):
            console.print(f"[yellow]{plain(text)}[/]", soft_wrap=True)


def go_back(
    data: DataOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go back to the PCloud before the last update, if the new one does not work. No node may run."""
    from core.node import go_back as back
    from core.node.folder import DataFolder

    folder = DataFolder(data)
    plan = back.plan_return(folder)
    if plan.since:
        since = f"{datetime.fromtimestamp(plan.since):%Y-%m-%d %H:%M}"
        console.print(
            f"The log is put back as it was at the update of {since}; what was stored since is put aside in {plain(plan.aside)}. "
            "What you revoked or forgot since is back afterwards: revoke and forget it again."
        )
        if not yes and not confirm("Go back?", otherwise="`--yes` goes back without asking"):
            raise typer.Exit(1)
    plan = back.go_back(folder)
    if as_json:
        print_json({"to": plan.to, "since": plan.since or None})
    else:
        console.print(
            f"[green]✓[/] the data is ready for PCloud {plan.to}. Install that one over this one, then run `pcloud up`."
        )


def allow_open_files() -> None:
    """Raise the limit to this user's maximum: many systems begin with 1024, which two apps that keep opening connections exhaust."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


def announce(address: str, token: str | None, link: str, data: Path, warning: str) -> None:
    """Print what a person needs to know at the start; on standard output, so that a script can read it too."""
    if warning:
        print(f"{warning}\n", flush=True)
    if token:
        print(f"This cloud's owner credential, shown only now; keep it safe:\n\n    {token}\n", flush=True)
    console = re.sub("^(https?://)", r"\1console.", address)
    print(f"PCloud is up at {address}  (data: {data})\nSign a browser in once, within ten minutes: {link}")
    print(f"Then install apps in the console: {console}", flush=True)


def in_journal() -> bool:
    """Return True if standard output is systemd's journal, which keeps what is printed; see systemd.exec(5), "$JOURNAL_STREAM"."""
    out = os.fstat(1)
    return os.environ.get("JOURNAL_STREAM", "") == f"{out.st_dev}:{out.st_ino}"


def announce_in_journal(address: str, data: Path, warning: str) -> None:
    """Print no secret: neither the owner's credential nor a link that signs a browser in."""
    if warning:
        print(warning, flush=True)
    print(f"PCloud is up at {address}  (data: {data})")
    print("`pcloud signin-link` signs a browser in, and `pcloud owner reset` makes a new credential", flush=True)


def announce_private(link: str) -> None:
    print(
        "Where programs that you don't trust run on this machine, use this link instead: they can read a browser's\n"
        f"session at localhost, and can't guess this address: {link}",
        flush=True,
    )


def signin_link(
    data: DataOption,
    private: Annotated[
        bool, typer.Option("--private", help="Use the address that other programs on this machine can't guess.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a link that signs a browser in once, within ten minutes."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("POST", f"/signin-link{'?private=true' if private else ''}")

    answer = run(work())
    if as_json:
        print_json(answer)
    else:
        print(answer["link"])


def status(data: DataOption, as_json: AsJson = False) -> None:
    """Show the node, its log, its views and their lag, apps and runs."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", "/status")

    answer = run(work())
    if as_json:
        print_json(answer)
        return
    for name, text in status_lines(answer, data):
        facts.print(f"[bold]{name:<7}[/] {text}")


def status_lines(answer: dict[str, Any], data: Path) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each line on the terminal."""
    yield "node", f"up at {plain(answer['address'])}, {answer['disk_free'] / 2**30:,.1f} GB free on {plain(data)}"
    for problem in filter(None, (answer["problem"], answer["warning"])):
        yield "", f"[bold red]{plain(problem)}[/]"
    if notices := answer["notices"]:
        yield "", f"[yellow]{notices} notice{'' if notices == 1 else 's'}[/]: `pcloud notices`"
    yield "log", f"{answer['events']:,} events at {plain(answer['nats'])}, epoch {plain(answer['epoch'])}"
    for name, view in answer["views"].items():
        lag = f"{view['lag']:,} behind" if view["lag"] else "up to date"
        rebuilding = f"; being rebuilt: {view['building']}" if view.get("building") else ""
        yield "view", f"{name:<6} at {view['sequence']:,}, {lag}{rebuilding}"
    for app in answer["apps"]:
        problem = f"  [red]{plain(app['error'])}[/]" if app["error"] else ""
        yield "app", f"{plain(app['name'])} {plain(app['version'])} {plain(app['state'])}{problem}"
    yield "runs", ", ".join(f"{count:,} {state}" for state, count in answer["runs"].items() if count) or "none yet"
    if told := answer["backup"]:
        for line in schedule_lines(told):
            yield "backup", line
        if told["failure"]:
            yield "", f"[bold red]{plain(told['failure'])}[/]"
    if waiting := waiting_line(answer["waiting"]):
        yield "waiting", waiting


def waiting_line(waiting: dict[str, int | None]) -> str:
    """Say what has no run yet; '' if there is nothing."""
    calls, objects = waiting["calls"], waiting["objects"]
    parts = [
        f"{calls:,} durable calls" if calls else "",
        f"{objects:,} objects in the storage that their apps don't know yet" if objects else "",
        *(f"{what} can't be counted now" for what, count in (("calls", calls), ("objects", objects)) if count is None),
    ]
    return ", ".join(filter(None, parts))
