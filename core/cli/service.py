"""`pcloud service …`: the node as a service of systemd, so that it is there after a power cut."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.cli.public_address import PublicAddress, PublicUrl, TrustedProxy, read_public_address
from core.cli.terminal import AsJson, console, facts, plain, print_json
from core.cli.unit import NAME, Unit, unit_path
from core.settings import DEFAULT_DOMAIN, DEFAULT_LISTEN, default_data_folder, parse_listen
from core.shipped.places import default_files_folder
from pcloud.errors import Rejected, Unavailable

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="The node as a service of systemd: it starts with the machine.")

System = Annotated[bool, typer.Option("--system", help="A service of the system, instead of the user's own.")]
LINGER = Path("/var/lib/systemd/linger")


@commands.command()
def install(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar="PCLOUD_DATA_FOLDER", help="The node's data folder.",
            show_default="pcloud in the user's data folder",
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            "--files", envvar="PCLOUD_FILES", help="The folder of files that are fetched on first use.",
            show_default="pcloud in the user's cache folder",
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT of the web address.")] = DEFAULT_LISTEN,
    domain: Annotated[str, typer.Option(help="The cloud's domain: apps are at APP.DOMAIN.")] = DEFAULT_DOMAIN,
    public_url: PublicUrl = "",
    trusted_proxy: TrustedProxy = None,
    graph: Annotated[str, typer.Option(help="Where the graph is: sqlite, or neo4j://USER@HOST:7687.")] = "sqlite",
    graph_password_file: Annotated[
        Path | None, typer.Option(help="A file with the password of the graph's server.")
    ] = None,
    system: System = False,
    user: Annotated[str, typer.Option(help="With --system: the user who runs the node.", show_default="who called sudo")] = "",
    show: Annotated[bool, typer.Option("--print", help="Print the unit, and change nothing.")] = False,
) -> None:  # fmt: skip
    """Write the unit, and have systemd start it now and with the machine. Repeating it applies what has changed."""
    runner = runner_of(system=system, user=user)
    home = Path(runner.pw_dir)
    # Another user's environment is not known; ours may place the folders elsewhere, for `pcloud up` as well.
    data = (data or (home / ".local/share/pcloud" if system else default_data_folder())).absolute()
    files = (files or (home / ".cache/pcloud" if system else default_files_folder())).absolute()
    public = read_public_address(public_url, trusted_proxy or [], domain)
    command = command_line(data, files, listen, public, graph, graph_password_file)
    text = Unit(command, runner.pw_name if system else "").render()
    if show:
        print(text, end="")
        return
    demand_rights(system=system)
    path = unit_path(system=system)
    changed = put(path, text, (data, files), runner)
    systemctl("daemon-reload", system=system)
    systemctl("enable", NAME, system=system)
    systemctl("restart" if changed else "start", NAME, system=system)
    unapplied(path).unlink(missing_ok=True)
    console.print(f"[green]✓[/] PCloud runs as a service: {plain(path)}")
    scope = "" if system else "--user "
    console.print(f"  its log: journalctl {scope}-u pcloud -f    a browser: pcloud signin-link --data {plain(data)}")
    if not system and not (LINGER / runner.pw_name).exists():
        console.print(
            "  [yellow]It stops when you log out, and starts when you log in.[/] To have it run without that: "
            f"loginctl enable-linger {plain(runner.pw_name)}"
        )


@commands.command()
def uninstall(system: System = False) -> None:
    """Stop the service and remove its unit. The data stays."""
    path = unit_path(system=system)
    if not path.exists():
        console.print(f"PCloud is not installed as a service: there is no {plain(path)}")
        return
    demand_rights(system=system)
    systemctl("disable", "--now", NAME, system=system)
    path.unlink()
    unapplied(path).unlink(missing_ok=True)
    systemctl("daemon-reload", system=system)
    console.print("[green]✓[/] PCloud is no longer a service; its data is where it was")


@commands.command()
def status(system: System = False, as_json: AsJson = False) -> None:
    """Show whether the service is installed, starts with the machine, and runs."""
    path = unit_path(system=system)
    found = {
        "installed": path.exists(), "unit": str(path),
        "enabled": asked("is-enabled", system=system), "active": asked("is-active", system=system),
    }  # fmt: skip
    if as_json:
        print_json(found)
        return
    facts.print(f"[bold]unit   [/] {plain(found['unit'])}{'' if found['installed'] else ', not installed'}")
    facts.print(f"[bold]starts [/] {plain(found['enabled'])}")
    facts.print(f"[bold]now    [/] {plain(found['active'])}")


def runner_of(*, system: bool, user: str) -> pwd.struct_passwd:
    """Return the user who is to run the node. Raises `Rejected`."""
    if not system:
        if user:
            raise Rejected("--user is for a service of the system: add --system, or run this as that user")
        return pwd.getpwuid(os.getuid())
    name = user or os.environ.get("SUDO_USER", "")
    try:
        runner = pwd.getpwnam(name)
    except KeyError as error:
        said = f"there is no user {name!r} on this machine" if name else "a node of the system needs a user who runs it"
        raise Rejected(f"{said}: name one with --user NAME") from error
    if runner.pw_uid == 0:
        raise Rejected("root should not run the node: name another user with --user NAME")
    return runner


def command_line(
    data: Path, files: Path, listen: str, public: PublicAddress, graph: str, password_file: Path | None
) -> Sequence[str]:
    """Return the node's command, with this very program. Raises `Rejected` for options that the node would refuse."""
    if parse_listen(listen)[1] == 0:
        raise Rejected(f"{listen!r} is another port at each start: name one, such as {DEFAULT_LISTEN}")
    if graph != "sqlite" and password_file is None:
        raise Rejected("the graph's server needs a password: name its file with --graph-password-file")
    command = [
        program(),
        "up",
        "--data",
        str(data),
        "--files",
        str(files),
        "--listen",
        listen,
        "--domain",
        public.domain,
    ]
    if public.url:
        command += ["--public-url", public.url, *(f"--trusted-proxy={proxy}" for proxy in public.proxies)]
    if graph != "sqlite":
        command += ["--graph", graph, "--graph-password-file", str(Path(password_file or "").absolute())]
    return command


def program() -> str:
    """Return the absolute path of `pcloud`: the one beside this Python, which stays when a shell's PATH changes."""
    beside = Path(sys.executable).parent / "pcloud"
    found = str(beside) if beside.exists() else shutil.which("pcloud")
    if found is None:
        raise Rejected("the program `pcloud` is not installed beside its Python: install it with `uv tool install`")
    return found


def put(path: Path, text: str, folders: Sequence[Path], owner: pwd.struct_passwd) -> bool:
    """Write the unit and make its folders; return False if systemd runs it like that already. Raises `Rejected` without the
    rights."""
    for folder in folders:
        make_folder(folder, owner)
    if path.exists() and path.read_text() == text and not unapplied(path).exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unapplied(path).touch()
        part = path.with_name(f"{path.name}.part")
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise Rejected(f"{error.filename or path} can't be written ({error.strerror}): run this with sudo?") from error
    return True


def make_folder(folder: Path, owner: pwd.struct_passwd) -> None:
    """Make the folder, private, and those above it that are missing, as the owner: root could make or change a folder
    elsewhere, to which a link of the owner's leads. Raises `Rejected`."""
    root, command = os.geteuid() == 0, ["mkdir", "-p", "--", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, umask=0o077, cwd="/",
        user=owner.pw_uid if root else None, group=owner.pw_gid if root else None,
        extra_groups=os.getgrouplist(owner.pw_name, owner.pw_gid) if root else None,
    )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise Rejected(f"{owner.pw_name} can't make {folder} ({said}): make it first, as a folder of {owner.pw_name}'s")


def unapplied(path: Path) -> Path:
    """The file that is there while systemd may still run the node by an earlier unit."""
    return path.with_name(f"{path.name}.unapplied")


def demand_rights(*, system: bool) -> None:
    if system and os.geteuid() != 0:
        raise Rejected("a service of the system is root's to change: run this with sudo")


def systemctl(*arguments: str, system: bool) -> None:
    """Raises `Unavailable` with systemd's own words."""
    command = ["systemctl", *([] if system else ["--user"]), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Unavailable(f"systemd is not here ({error.strerror}): start `pcloud up` by another means") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise Unavailable(f"`{' '.join(command)}` failed: {said}; the unit stays, so repeat this once that is mended")


def asked(verb: str, *, system: bool) -> str:
    """Return systemd's word, such as `enabled` or `active`."""
    command = ["systemctl", *([] if system else ["--user"]), verb, NAME]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "systemd is not here"
    return done.stdout.strip() or " ".join(done.stderr.split()) or "unknown"
