"""`pcloud owner …`: the signed-in browsers, and the credential."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from core.cli.client import open_client
from core.cli.terminal import AsJson, DataOption, ask_secret, console, plain, print_json, print_table, run
from pcloud.errors import Rejected

__all__ = ["commands"]

commands = typer.Typer(
    no_args_is_help=True, help="The owner: browsers that are signed in, and the credential to sign in with."
)


@commands.command()
def sessions(data: DataOption, as_json: AsJson = False) -> None:
    """List the signed-in browsers, and when each was last used."""
    found = graphql(data, "{ sessions }")["sessions"]
    if as_json:
        print_json(found)
        return
    rows = [(one["browser"], one["device"], told(one["seen"]), told(one["created"]), one["id"]) for one in found]
    columns = ("BROWSER", "DEVICE", "LAST SEEN", "SIGNED IN", "ID")
    print_table(columns, rows, empty="No browser is signed in: `pcloud signin-link` prints a link for one.")


@commands.command()
def end(
    data: DataOption,
    id: Annotated[str, typer.Argument(help="The session's id, as `owner sessions` shows it.")] = "",
    all: Annotated[bool, typer.Option("--all", help="End all sessions.")] = False,
) -> None:
    """Sign a browser out on all pages, with immediate effect."""
    if bool(id) == all:
        raise Rejected("name one session by its id, as `pcloud owner sessions` shows it, or use --all")
    if all:
        ended = graphql(data, "mutation { endSessions }")["endSessions"]["ended"]
    else:
        ended = graphql(data, "mutation($id: ID!) { endSession(id: $id) }", {"id": id})["endSession"]["ended"]
    console.print(f"[green]✓[/] {ended} session{'' if ended == 1 else 's'} ended")


@commands.command()
def credential(data: DataOption, as_json: AsJson = False) -> None:
    """Replace the credential by a new one, which ends all sessions. Asks for the present one; devices stay paired."""
    present = ask_secret("The present credential", otherwise="`pcloud owner reset` works without it")
    query = "mutation($present: String!) { changeCredential(present: $present) }"
    show(graphql(data, query, {"present": present})["changeCredential"]["credential"], as_json)


@commands.command()
def reset(
    data: DataOption,
    revoke_devices: Annotated[bool, typer.Option("--revoke-devices", help="Also revoke all paired devices.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replace a lost credential, which ends all sessions. Devices stay paired, unless --revoke-devices is given."""

    async def work() -> Any:
        async with open_client(data) as client:
            return await client.ask("POST", f"/owner/reset?devices={str(revoke_devices).lower()}")

    answer = run(work())
    if as_json:
        print_json(answer)
        return
    show(answer["credential"], as_json)
    devices = answer["devices"]
    if revoke_devices:
        console.print(f"{answer['revoked']} of {devices} devices revoked.")
    elif devices:
        console.print(f"{devices} paired devices stay: `pcloud device list` shows them, --revoke-devices revokes them.")
    for id, why in answer["kept"].items():
        console.print(f"[yellow]![/] The storage keys of the device {plain(id)} remain: {plain(why)}. Revoke it again.")


def show(credential: str, as_json: bool) -> None:
    if as_json:
        print_json({"credential": credential})
        return
    console.print("[green]✓[/] All sessions have ended. The new credential, shown only now; keep it safe:")
    print(credential)


def graphql(data: Any, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        async with open_client(data) as client:
            return await client.graphql(query, variables)

    return run(work())


def told(seconds: float) -> str:
    """Return a time as `2026-05-01 09:30`, by this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
