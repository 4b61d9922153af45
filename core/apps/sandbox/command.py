"""bubblewrap's command line: what an app finds in its sandbox, and nothing else.

/usr /lib* /bin /sbin   the machine's programs and libraries, read only
its Python environment  read only, at its own path
/etc                    a few files without secrets
/run/pcloud             its keys and the starter, read only
/app                    its code, read only
/data                   its own folder, which is kept; /cache too
/tmp                    its own, in memory, bounded
/proc                   of its own processes
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.apps.sandbox.limits import Limits

__all__ = [
    "APP",
    "CACHE",
    "DATA",
    "KEYS",
    "STARTER",
    "Mounts",
    "namespaces",
    "program",
    "python",
    "write_etc",
]

APP, CACHE, DATA, KEYS = "/app", "/cache", "/data", "/run/pcloud/keys"
STARTER = "/run/pcloud/starter.py"
SYSTEM = ("/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
ETC = ("ld.so.cache", "ssl/certs", "ssl/openssl.cnf", "localtime", "alternatives", "mime.types", "fonts")
MADE = {
    "passwd": "root:x:0:0:root:/:/usr/sbin/nologin\napp:x:{user}:{user}:app:/data:/usr/sbin/nologin\n",
    "group": "root:x:0:\napp:x:{user}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n{hosts}",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


@dataclass(frozen=True, slots=True)
class Mounts:
    """Folders outside. `etc`: made by `write_etc`. `cache`: what Python has compiled, for a faster next start; it
    belongs to the app, counts with its data, and is at `/cache` inside."""

    code: Path
    data: Path
    keys: Path
    etc: Path
    environment: Path | None = None
    cache: Path | None = None


def python() -> str:
    """The interpreter outside any environment; it has the same path inside."""
    return os.path.realpath(sys.executable)


def write_etc(folder: Path, user: int, hosts: Mapping[str, str]) -> None:
    """`hosts`: addresses by name."""
    lines = "".join(f"{address} {name}\n" for name, address in hosts.items())
    folder.mkdir(exist_ok=True, mode=0o755)
    folder.chmod(0o755)
    for name, text in MADE.items():
        (folder / name).write_text(text.format(user=user, hosts=lines))
        (folder / name).chmod(0o644)


def namespaces(*, root: bool) -> Iterator[str]:
    """Separate every namespace. Without a user namespace if core is root: the starter changes to another user instead."""
    yield from (
        "--unshare-net",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "app",
    )
    yield from ("--die-with-parent", "--cap-drop", "ALL")
    if root:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            yield from ("--cap-add", capability)
    else:
        yield from ("--unshare-user", "--disable-userns")


def program(mounts: Mounts, limits: Limits) -> Iterator[str]:
    """The file system. Later mounts cover earlier ones; at last the root itself becomes read only."""
    yield from ("--ro-bind", "/usr", "/usr")
    for folder in SYSTEM:
        if Path(folder).is_symlink():
            yield from ("--symlink", str(Path(folder).readlink()), folder)
        elif Path(folder).is_dir():
            yield from ("--ro-bind", folder, folder)
    yield from _interpreter()
    yield from _way_to("/etc/ssl/certs", "/run/pcloud/keys", "/sys/devices/system/cpu")
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name in MADE:
        yield from ("--ro-bind", str(mounts.etc / name), f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    # Libraries choose their instructions by it; the rest of /sys is not mounted.
    yield from ("--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu")
    for place in ("/tmp", "/dev/shm"):  # noqa: S108 - the app's own
        yield from ("--perms", "1777", "--size", str(limits.temporary), "--tmpfs", place)
    if mounts.environment is not None:
        yield from _way_to(str(mounts.environment))
        yield from ("--ro-bind", str(mounts.environment), str(mounts.environment))
    yield from ("--ro-bind", str(mounts.code), APP, "--bind", str(mounts.data), DATA)
    if mounts.cache is not None:
        yield from ("--bind", str(mounts.cache), CACHE)
    yield from ("--ro-bind", str(mounts.keys), KEYS)
    yield from ("--ro-bind", str(Path(__file__).with_name("starter.py")), STARTER)
    yield from ("--remount-ro", "/", "--chdir", "/")


def _interpreter() -> Iterable[str]:
    """A Python that is not the machine's own lies elsewhere."""
    needed = {os.path.realpath(sys.base_prefix), str(Path(python()).parent.parent)}
    # An environment's link may name it by another path.
    needed.add(str(Path(sys.base_prefix).absolute()))
    outside: Sequence[str] = sorted(
        path for path in needed if path != "/usr" and not path.startswith("/usr/") and path != "/"
    )
    return [word for path in outside for word in (*_way_to(path), "--ro-bind-try", path, path)]


def _way_to(*places: str) -> Iterator[str]:
    """The folders above each place: bubblewrap would make them readable for root only."""
    above = {str(folder) for place in places for folder in Path(place).parents}
    for folder in sorted(above - {"/"}):
        yield from ("--perms", "0755", "--dir", folder)
