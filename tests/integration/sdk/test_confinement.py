"""A hostile decoder: what a hole in a codec gives to the stranger who made the file."""

from __future__ import annotations

import importlib
import os
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pcloud import allowed_calls, bounded, landlock
from pcloud.bounded import close_bounded, run_bounded
from pcloud.errors import Rejected

SECRET = "a-secret-of-the-app"
# `attempt` returns "refused", or what the attempt has got.
HOSTILE = '''
import ctypes, fcntl, os, platform, resource, signal, socket, stat, sys, threading

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"process_vm_readv": 310, "pidfd_open": 434, "pidfd_getfd": 438, "io_uring_setup": 425, "clone": 56,
               "openat2": 437, "memfd_create": 319, "seccomp": 317, "open_by_handle_at": 304},
    "aarch64": {"process_vm_readv": 270, "pidfd_open": 434, "pidfd_getfd": 438, "io_uring_setup": 425, "clone": 220,
                "openat2": 437, "memfd_create": 279, "seccomp": 277, "open_by_handle_at": 265},
}[platform.machine()]

class Refused(Exception):
    pass

def attempt(name: str, *args) -> str:
    try:
        return f"{name}: {globals()[name](*args)!r}"
    except (Refused, OSError, ValueError):  # ValueError: setrlimit's
        return "refused"

def system_call(name, *args):
    result = LIBC.syscall(NUMBERS[name], *[ctypes.c_long(value) for value in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result

def connect_unix(path):
    with socket.socket(socket.AF_UNIX) as gateway:
        gateway.connect(path)
        return "connected"

def connect_loopback(port):
    with socket.create_connection(("127.0.0.1", port), 5):
        return "connected"

def open_udp(): return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno()
def open_netlink(): return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).fileno()
def pair_sockets(): return len(socket.socketpair())
def read(path): return open(path, "rb").read(100)
def write(path): return open(path, "wb").write(b"x")
def append(path): return os.open(path, os.O_WRONLY | os.O_APPEND)
def listing(path): return os.listdir(path)
def find(path): return os.stat(path).st_size
def close_to_all(path): return os.chmod(path, 0o700)
def resolve(path): return os.readlink(path)
def remove(path): os.unlink(path)
def link(path): os.symlink(path, path + "-link")
def enter(path): os.chdir(path)
def open_by_openat2(path):
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY)
    return system_call("openat2", -100, ctypes.addressof(ctypes.create_string_buffer(path.encode())),
                       ctypes.addressof(how), 24)

def environment():
    """Of Python, and of C."""
    LIBC.getenv.restype = ctypes.c_char_p
    found = dict(os.environ) or LIBC.getenv(b"PCLOUD_URL") or LIBC.getenv(b"PATH")
    if not found:
        raise Refused
    return found

def descriptors():
    """Beside the standard ones, the result's and the file's."""
    found = []
    for number in range(3, 1024):
        try:
            found.append(os.fstat(number).st_mode)
        except OSError:
            pass
    if len(found) <= 2:
        raise Refused
    return found

def standard_streams():
    import stat
    if all(stat.S_ISCHR(os.fstat(number).st_mode) for number in range(3)):
        raise Refused
    return "the app's"

def trace(pid):
    LIBC.ptrace.restype = ctypes.c_long
    if LIBC.ptrace(0x4206, pid, None, None) < 0:  # PTRACE_SEIZE: an attached test would stand still
        raise OSError(ctypes.get_errno(), "ptrace")
    return "attached"

def read_memory(pid, address):
    data = ctypes.create_string_buffer(16)
    here, there = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 16), (ctypes.c_uint64 * 2)(address, 16)
    system_call("process_vm_readv", pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
    return data.raw

def take_descriptor(pid): return system_call("pidfd_getfd", system_call("pidfd_open", pid, 0), 0, 0)
def signal_other(pid): return os.kill(pid, 0)
def signal_group(): return os.killpg(0, 0)
def limit_other(pid): return resource.prlimit(pid, resource.RLIMIT_NOFILE)
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid
def clone_by_number():
    pid = system_call("clone", signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid
def spawn(): return os.posix_spawn("/bin/true", ["true"], {})
def execute(): os.execv("/bin/true", ["true"])
def ring(): return system_call("io_uring_setup", 1, ctypes.addressof(ctypes.create_string_buffer(128)))
def memory_file(): return system_call("memfd_create", ctypes.addressof(ctypes.create_string_buffer(b"x")), 0)
def raise_limits():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
def outlive_alarm(): return signal.alarm(0)
def own_by_signal(pid):
    """A descriptor that signals another process when it is ready."""
    return fcntl.fcntl(3, fcntl.F_SETOWN, pid) or fcntl.fcntl(4, fcntl.F_SETOWN, pid)

def is_socket(number):
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False

def answer(start, byte, times, announced=0):
    """What it likes, in place of the result: it writes to the channel, as the SDK's own code would."""
    raw = start + byte * times
    channel = next(number for number in range(3, 32) if is_socket(number))
    view = memoryview((announced or len(raw)).to_bytes(8, "little") + raw)
    while view:
        view = view[os.write(channel, view):]
    os._exit(0)

def threads() -> int:
    done = []
    one = threading.Thread(target=done.append, args=(1,))
    one.start(); one.join()
    return len(done)

def abort_itself(): os.abort()
def import_late():
    import colorsys
'''


# What a machine may lack, as the server from which the decoder is forked sees it.
WITHOUT = {
    "nothing": "",
    "landlock": "import pcloud.landlock; pcloud.landlock.version = lambda: 0\n",
    "seccomp": "import pcloud.allowed_calls; pcloud.allowed_calls.is_available = lambda: False\n",
}
WITHOUT["both"] = WITHOUT["landlock"].strip() + "; " + WITHOUT["seccomp"]


@pytest.fixture(params=["nothing", "landlock"])
def lacking(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> Iterator[ModuleType]:
    """The decoder. The app that uses it has a secret in each place where apps have some."""
    name = f"hostile_without_{lacking}"
    # In the server and its decoders alone: this process keeps what the machine has.
    here = f"if __import__('os').getpid() != {os.getpid()}:\n    {WITHOUT[lacking] or 'pass'}\n"
    (tmp_path / f"{name}.py").write_text(here + HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for variable in ("PCLOUD_URL", "PCLOUD_WEB_KEY_FILE", "PCLOUD_SETTINGS", "NATS_NKEY_SEED_FILE"):
        monkeypatch.setenv(variable, SECRET)
    yield importlib.import_module(name)
    sys.modules.pop(name)


@pytest.fixture(autouse=True)
async def closed():
    yield
    await close_bounded()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Listens as an app's gateway does: a path, or a port of the loopback."""
    with socket.socket(socket.AF_UNIX) as by_path, socket.socket() as by_port:
        by_path.bind(str(tmp_path / "gateway"))
        by_port.bind(("127.0.0.1", 0))
        for listening in (by_path, by_port):
            listening.listen()
        yield str(tmp_path / "gateway"), by_port.getsockname()[1]


async def attempts(hostile: ModuleType, *wanted: tuple[object, ...]) -> list[str]:
    """What was not refused."""
    done = [await run_bounded(hostile.attempt, *one) for one in wanted]
    return [one for one in done if one != "refused"]


async def test_attack_by_a_decoder_reaches_no_gateway_and_no_network(hostile, gateway) -> None:
    path, port = gateway
    tries = [("connect_unix", path), ("connect_loopback", port), ("open_udp",), ("open_netlink",), ("pair_sockets",)]
    assert await attempts(hostile, *tries) == []


async def test_attack_by_a_decoder_opens_no_file_of_the_app(hostile, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    seed = data / "nkey.seed"
    seed.write_text(SECRET)
    on_seed = ["read", "append", "find", "remove", "link", "open_by_openat2"]
    tries = [(name, str(seed)) for name in on_seed] + [(name, str(data)) for name in ("listing", "enter")]
    tries += [("write", str(data / "new")), ("read", "/etc/passwd"), ("resolve", "/proc/self/exe"), ("memory_file",)]
    assert await attempts(hostile, *tries) == []
    assert seed.read_text() == SECRET
    assert list(data.iterdir()) == [seed]


async def test_attack_by_a_decoder_learns_no_secret_of_the_app(hostile) -> None:
    processes = [os.getpid(), await run_bounded(os.getppid)]
    tries: list[tuple[object, ...]] = [("environment",), ("read", "/proc/self/environ"), ("descriptors",)]
    tries += [("read", f"/proc/{pid}/{what}") for pid in processes for what in ("environ", "mem", "maps", "cmdline")]
    tries += [(name, pid) for pid in processes for name in ("trace", "take_descriptor")]
    tries += [("read_memory", os.getpid(), id(SECRET)), ("standard_streams",)]
    assert await attempts(hostile, *tries) == []


async def test_attack_by_a_decoder_starts_and_touches_no_process(hostile) -> None:
    server = await run_bounded(os.getppid)
    tries: list[tuple[object, ...]] = [("fork",), ("clone_by_number",), ("spawn",), ("execute",), ("ring",)]
    tries += [(name, pid) for pid in (os.getpid(), server) for name in ("signal_other", "limit_other", "own_by_signal")]
    tries += [("signal_group",), ("raise_limits",)]
    assert await attempts(hostile, *tries) == []


RESULT, ERROR = b"\x92\xa6result", b"\x92\xa5error\x93\xa8REJECTED"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((RESULT + b"\xdd\x00\x20\x00\x00", b"\x80", 2 << 20), "answered with 2097"),
        ((RESULT, b"\xc0", 1, 2**63), "answered with 9223372036854775808 bytes, more than 1048576"),
        ((RESULT, b"\x91", 10**5), "recursion"),
        ((RESULT + b"\xa2", b"\xff", 2), "utf-8"),
        ((ERROR + b"\xdb\x00\x01\x00\x00" + b"m" * 2**16 + b"\xa1", b"t", 1), "bytes of reasons, more than 16384"),
    ],
)
async def test_attack_by_a_decoder_with_its_answer_costs_its_app_nothing(hostile, answer, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        await run_bounded(f"{hostile.__name__}:answer", *answer)
    assert reason in refused.value.message
    assert len(refused.value.message) < 400


async def test_attack_by_a_decoder_with_a_long_reason_is_cut(hostile) -> None:
    reasons = b"\xda\x10\x00" + b"m" * 4096 + b"\xda\x2e\xe0"
    with pytest.raises(Rejected) as refused:
        await run_bounded(hostile.answer, ERROR + reasons, b"t", 12_000)
    assert (len(refused.value.message), refused.value.__notes__) == (2000, ["t" * 8000])


@pytest.mark.parametrize("lacking", ["nothing"])
@pytest.mark.parametrize("hard", [20, 4096])
async def test_an_app_with_few_descriptors_has_its_files_decoded(hostile, hard: int) -> None:
    """The limit goes to the server from which the decoder is forked."""
    server = await run_bounded(os.getppid)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (hard, hard))
    assert hard < most
    assert await run_bounded("resource:getrlimit", resource.RLIMIT_NOFILE) == [min(hard, 32)] * 2


async def test_a_confined_function_has_threads_and_may_crash(hostile) -> None:
    assert await run_bounded(hostile.threads) == 1
    with pytest.raises(Rejected, match="SIGABRT"):
        await run_bounded(hostile.abort_itself)


async def test_a_late_import_says_what_to_do(hostile) -> None:
    with pytest.raises(Rejected, match="top of its module"):
        await run_bounded(hostile.import_late)


@pytest.mark.parametrize("lacking", ["seccomp"])
async def test_attack_by_a_decoder_where_no_calls_are_filtered_opens_nothing(hostile, gateway, tmp_path: Path) -> None:
    """Landlock by itself: no file, no TCP, no other process's memory, no signal."""
    assert landlock.version() >= 6
    (tmp_path / "secret").write_text(SECRET)
    server = await run_bounded(os.getppid)
    tries: list[tuple[object, ...]] = [(name, str(tmp_path / "secret")) for name in ("read", "append", "remove")]
    tries += [("listing", str(tmp_path)), ("execute",), ("connect_loopback", gateway[1]), ("environment",)]
    tries += [("descriptors",), ("trace", os.getpid()), ("signal_other", os.getpid()), ("read", f"/proc/{server}/mem")]
    tries += [("read_memory", server, id(SECRET)), ("standard_streams",)]
    assert await attempts(hostile, *tries) == []
    # The test has taken the filter away, and Landlock lets a process ask about files and change their mode.
    assert (
        len(await attempts(hostile, ("fork",), ("find", str(tmp_path / "secret")), ("close_to_all", str(tmp_path))))
        == 3
    )


@pytest.mark.parametrize("lacking", ["both"])
async def test_attack_by_a_decoder_on_an_old_kernel_inherits_nothing(hostile) -> None:
    assert await attempts(hostile, ("environment",), ("descriptors",), ("standard_streams",)) == []
    assert len(await attempts(hostile, ("fork",), ("listing", "/"))) == 2  # the test has taken both defences away


@pytest.mark.parametrize(("known", "told"), [(0, "neither"), (3, "use the network"), (7, "use UDP and Unix sockets")])
async def test_what_a_machine_lacks_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, known: int, told: str
) -> None:
    monkeypatch.setattr(allowed_calls, "is_available", lambda: False)
    monkeypatch.setattr(landlock, "version", lambda: known)
    bounded._warn_if_open.cache_clear()
    for _ in range(2):
        await run_bounded("os:getpid")
        await close_bounded()
    assert [told in record.message for record in caplog.records if record.name == "pcloud.bounded"] == [True]
    bounded._warn_if_open.cache_clear()
