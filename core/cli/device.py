"""`pcloud device …`: pair, list, revoke."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, console, plain, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Phones and other devices: pair, list, revoke.")


@commands.command()
def pair(
    data: DataOption,
    name: Annotated[str, typer.Option(help="The device's name.")] = "device",
    metrics: Annotated[
        bool, typer.Option("--metrics", help="A token that only reads the node's metrics, for example for Prometheus.")
    ] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: view (read), upload (storage keys), manage (everything that you may, the default). Repeat it for several."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the credentials of a new device. They are shown once."""
    if metrics and scope:
        raise Rejected("--metrics is a separate right: leave out --scope")

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("POST", "/devices", json_body={"name": name, "metrics": metrics, "scopes": scope})

    paired = run(work())
    if as_json:
        print_json(paired)
        return
    console.print(f"[green]✓[/] {plain(name)} is paired. Its credentials, shown only now:")
    if metrics:
        print(f"metrics     {paired['metrics']}\ntoken       {paired['token']}")
        return
    print(f"GraphQL     {paired['graphql']}\ntoken       {paired['token']}")
    print("\n".join(f"S3 {part:<9}{value}" for part, value in paired.get("s3", {}).items()))


@commands.command("list")
def list_command(data: DataOption, as_json: AsJson = False) -> None:
    """List all devices that were ever paired."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("GET", "/devices")

    devices = run(work())
    if as_json:
        print_json(devices)
    else:
        rows = [(device["name"], device["state"], rights(device), device["id"]) for device in devices]
        print_table(
            ("NAME", "STATE", "RIGHTS", "ID"), rows, empty="No device is paired: try `pcloud device pair --name phone`."
        )


@commands.command()
def revoke(
    id: Annotated[str, typer.Argument(help="The device's id, as `device list` shows it.")], data: DataOption
) -> None:
    """Revoke a device's credentials, with immediate effect."""

    async def work() -> None:
        async with open_client(data) as client:
            await client.ask("DELETE", f"/devices/{quote(id, safe='')}")

    run(work())
    console.print("[green]✓[/] revoked")


def rights(device: dict[str, Any]) -> str:
    return device["rights"] or ", ".join(device["scopes"])
