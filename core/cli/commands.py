"""All commands and their files: one file for each noun."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli import (
    app,
    audit,
    backup,
    backup_schedule,
    demo,
    device,
    export,
    fetch,
    graph,
    metrics,
    nats,
    notices,
    owner,
    replay,
    runs,
    service,
    support_bundle,
    undo,
    up,
)

__all__ = ["cli"]

cli = typer.Typer(
    name="pcloud", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich", add_completion=True,
    help="A personal cloud for a few small computers: storage, a knowledge graph, apps and search over one event log.",
)  # fmt: skip


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"pcloud {version('pcloud-node')}")
        raise typer.Exit


@cli.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


cli.command("up")(up.up)
cli.command("go-back")(up.go_back)
cli.command("status")(up.status)
cli.command("signin-link")(up.signin_link)
cli.command("demo")(demo.demo)
cli.command("fetch")(fetch.fetch)
cli.command("call")(runs.call)
cli.command("audit")(audit.audit)
cli.command("restore")(backup.restore)
cli.command("export")(export.export)
cli.command("import")(export.import_)
cli.command("metrics")(metrics.metrics)
cli.command("replay")(replay.replay)
cli.command("support-bundle")(support_bundle.support_bundle)
cli.command("undo")(undo.undo)
cli.command(
    "nats", context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)(nats.nats)
cli.add_typer(app.commands, name="app")
cli.add_typer(backup_schedule.commands, name="backup")
cli.add_typer(notices.commands, name="notices")
cli.add_typer(runs.commands, name="runs")
cli.add_typer(graph.commands, name="graph")
cli.add_typer(device.commands, name="device")
cli.add_typer(owner.commands, name="owner")
cli.add_typer(service.commands, name="service")
