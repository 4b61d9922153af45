"""Attacks on the sandbox from within: files, processes, networks, and ways out that the kernel offers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.attacks.conftest import Cloud
from tests.integration.sandbox.prisoner import way_to_python
from tests.node_process import wait_until

pytestmark = pytest.mark.usefixtures("others_are_served")


def app_process(cloud: Cloud, app: str = "attacker") -> psutil.Process:
    """The app's own process, as the host sees it."""
    [status] = [one for one in cloud.json("app", "list", "--json") if one["name"] == app]
    return psutil.Process(status["pid"])


def test_an_attack_runs_in_a_sandbox_at_all(cloud: Cloud) -> None:
    assert {one["name"]: one["sandbox"].startswith("bubblewrap") for one in cloud.json("app", "list", "--json")} == {
        "attacker": True,
        "other": True,
    }


# --- files -----------------------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    import os

    try:
        if os.path.isdir(path):
            return f"read {os.listdir(path)}"
        with open(path, "rb") as file:
            return f"read {file.read(100)!r}"
    except OSError as error:
        return type(error).__name__


def write(path: str) -> str:
    try:
        with open(path, "ab") as file:
            file.write(b"x")
        return "written"
    except OSError as error:
        return type(error).__name__


def secrets_of(cloud: Cloud) -> list[str]:
    """What an app must never see, by its place on the host."""
    data = cloud.data
    return [
        str(data), str(data / "secrets"), str(data / "nats" / "server.json"), str(data / "nats" / "nats.conf"),
        str(data / "apps"), str(data / "apps" / "other"), str(data / "apps" / "other" / "data"), str(data / "graph"),
        "/root", "/home", "/var", "/etc/shadow", "/etc/machine-id", "/etc/ssh", "/boot", "/sys/fs", "/sys/class", "/run/user", "/opt",
        "/mnt", "/dev/kmsg", "/dev/mem", "/dev/sda", "/dev/vda", "/dev/vsock", "/dev/net/tun", "/dev/fuse", "/dev/kvm", "/run/dbus",
        "/proc/kcore", "/proc/1/root/root", "/proc/1/environ", "/proc/1/cwd/secrets", "/var/run/docker.sock",
    ]  # fmt: skip


def test_an_attack_on_files_outside_the_app_reads_nothing(cloud: Cloud) -> None:
    (cloud.data / "apps" / "other" / "data" / "diary").write_text("other's secret")
    seen = {path: cloud.attack(read, path) for path in secrets_of(cloud)}
    # The paths to its own environment and to Python exist, where they were made; nothing beside them.
    way = {str(cloud.data): "read ['apps']", str(cloud.data / "apps"): "read ['.environments']"}
    way |= {folder: f"read ['{name}']" for folder, name in way_to_python().items()}
    told = {
        path: what for path, what in seen.items() if what.startswith("read") and what not in ("read []", way.get(path))
    }
    assert told == {}


def test_an_attack_by_walking_the_whole_file_system_meets_no_secret_and_no_other_app(cloud: Cloud) -> None:
    def walk(names: list[str]) -> list[str]:
        import os

        found = []
        for folder, folders, files in os.walk("/"):
            if folder.startswith("/proc"):
                folders.clear()
                continue
            found += [os.path.join(folder, name) for name in files + folders if name in names]
            for name in files:
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                if status.st_mode & 0o6000 and not folder.startswith(("/usr", "/bin", "/sbin", "/lib")):
                    found.append(path)
        return found

    (cloud.data / "apps" / "other" / "data" / "dear-diary").write_text("other's secret")
    names = [
        "server.json",
        "nats.conf",
        "nats.log",
        "session.key",
        "graph.sqlite",
        "admin.sock",
        "dear-diary",
        "shadow",
    ]
    assert cloud.attack(walk, names) == []


@pytest.mark.parametrize(
    "path",
    ["/app/app.yaml", "/app/new", "/usr/bin/x", "/etc/passwd", "/etc/ld.so.preload", "/new", "/run/pcloud/new", "/run/pcloud/starter.py",
     "/run/pcloud/keys/new", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
     "/proc/sys/net/ipv4/ip_forward",
     "/proc/self/uid_map", "/proc/self/setgroups", "/sys/devices/system/cpu/online", "/dev/new", "/proc/1/oom_score_adj", "/proc/1/mem"],
)  # fmt: skip
def test_an_attack_by_writing_outside_its_own_folders_writes_nothing(cloud: Cloud, path: str) -> None:
    assert cloud.attack(write, path) != "written"


def test_an_attack_by_links_in_its_own_data_leads_core_nowhere(cloud: Cloud) -> None:
    """Core then owns nothing in there that the app points at, and starts the app again."""

    def link() -> list[str]:
        import os

        for name, target in (("shadow", "/etc/shadow"), ("root", "/"), ("up", "../../other/data"), ("loop", "loop")):
            os.symlink(target, f"/data/{name}")
        os.mkfifo("/data/pipe")
        os.link("/data/pipe", "/data/pipe2")
        made = []
        for number, kind in enumerate((0o020000, 0o060000)):
            try:
                os.mknod(f"/data/device{number}", kind | 0o666, os.makedev(1, 1))
                made.append("device")
            except OSError as error:
                made.append(type(error).__name__)
        for target in ("/etc/passwd", "/usr/bin/python3", "/app/app.yaml", "/run/pcloud/keys"):
            try:
                os.link(target, f"/data/hard{len(made)}")
                made.append("linked")
            except OSError as error:
                made.append(type(error).__name__)
        os.makedirs("/data/" + "deep/" * 300)
        return made

    before = os.stat("/etc/shadow")
    assert not {"device", "linked"} & set(cloud.attack(link))
    cloud.cli("app", "restart", "attacker")
    wait_until(lambda: cloud.call("attacker/greet")["app"] == "attacker", what="the app's restart")
    after = os.stat("/etc/shadow")
    assert (before.st_uid, before.st_mode, before.st_mtime) == (after.st_uid, after.st_mode, after.st_mtime)


# --- processes -------------------------------------------------------------------------------------------------------------


def test_an_attack_on_other_processes_sees_its_own_alone(cloud: Cloud) -> None:
    def processes() -> list[str]:
        import os

        lines = []
        for pid in (name for name in os.listdir("/proc") if name.isdigit()):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    lines.append(file.read().replace(b"\0", b" ").decode())
            except OSError:
                lines.append("hidden")
        return lines

    lines = cloud.attack(processes)
    assert 0 < len(lines) < 10
    assert not [
        line for line in lines if "nats" in line or "pcloud up" in line or str(cloud.data) in line.partition(" ")[2]
    ]


def test_an_attack_by_signals_reaches_its_own_processes_alone(cloud: Cloud) -> None:
    def kill(pids: list[int]) -> list[str]:
        import os
        import signal

        said = []
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                said.append("killed")
            except OSError as error:
                said.append(type(error).__name__)
        return said

    assert cloud.process
    victims = [cloud.process.pid, app_process(cloud, "other").pid, *cloud.children()]
    inside = set(range(1, 200))
    assert set(cloud.attack(kill, [pid for pid in victims if pid not in inside])) <= {
        "ProcessLookupError",
        "PermissionError",
    }
    assert set(cloud.attack(kill, [1])) <= {"PermissionError", "killed"}


def trace() -> dict[str, str]:
    """What can be had of each visible process that the app has not started, by its command line; and of an `own` one."""
    import ctypes
    import os
    import time

    libc = ctypes.CDLL(None, use_errno=True)
    said = {}
    if (child := os.fork()) == 0:
        time.sleep(60)
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode()
        if pid in (os.getpid(), os.getppid()):
            continue
        done = []
        if libc.ptrace(16, pid, None, None) == 0:  # ATTACH
            libc.ptrace(17, pid, None, None)
            done.append("traced")
        for what in ("mem", "environ", "fd", "root/etc", "cwd/.", "map_files"):
            try:
                (os.open(f"/proc/{pid}/{what}", os.O_RDWR) if what == "mem" else os.listdir(f"/proc/{pid}/{what}"))
                done.append(what)
            except NotADirectoryError:
                try:
                    with open(f"/proc/{pid}/{what}", "rb") as file:
                        file.read()
                    done.append(what)
                except OSError:
                    pass
            except OSError:
                pass
        handle = os.pidfd_open(pid)
        for number in range(64):
            if libc.syscall(438, handle, number, 0) >= 0:  # pidfd_getfd
                done.append(f"descriptor {number}")
        remote = (ctypes.c_size_t * 2)(0x400000, 16)
        local = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(16)), 16)
        if libc.process_vm_readv(pid, local, 1, remote, 1, 0) > 0:
            done.append("memory")
        said["own" if pid == child else f"{pid} {command}"] = ",".join(done)
    os.kill(child, 9)
    return said


@pytest.mark.parametrize("web", [False, True])
def test_an_attack_by_ptrace_on_what_surrounds_it_is_refused(cloud: Cloud, web: bool) -> None:
    """bubblewrap's own process, the reaper, and for an app with pages the dialer too, are visible but out of reach."""
    name = "guest" if web else "attacker"
    if web:
        cloud.install_archive(cloud.installed("guest", **{"attacker]": "attacker]\n  web: true"}))
    said = cloud.attack(trace, app=name)
    assert "traced" in said.pop("own")
    assert said and set(said.values()) == {""}, said
    assert any("starter.py" in process and "bwrap" not in process for process in said) == web, said
    if web:
        cloud.cli("app", "remove", "guest", "--yes")


def test_an_attack_finds_nothing_of_cores_environment_or_descriptors(cloud: Cloud) -> None:
    def look() -> dict[str, Any]:
        import os

        descriptors = {}
        main = os.getppid()
        for pid in (os.getpid(), main):
            for number in os.listdir(f"/proc/{pid}/fd"):
                try:
                    descriptors[f"{pid}/{number}"] = os.readlink(f"/proc/{pid}/fd/{number}")
                except OSError:
                    pass
        return {
            "environment": dict(os.environ),
            "descriptors": descriptors,
            "user": [os.getuid(), os.getgid(), os.getgroups()],
        }

    seen = cloud.attack(look)
    ours = {
        "PCLOUD_APP", "PCLOUD_URL", "PCLOUD_DATA", "PCLOUD_SETTINGS", "PCLOUD_WEB_KEY_FILE", "NATS_URL", "NATS_NKEY_SEED_FILE", "PATH",
        "HOME", "PYTHONUNBUFFERED", "PYTHONPYCACHEPREFIX", "LANG", "TZ", "SSL_CERT_FILE", "LC_CTYPE", "CALL_RUN", "CALL_REPLY",
        "APP_OUTPUT", "PWD", "TMPDIR", "USER", "LOGNAME",
    }  # fmt: skip
    assert set(seen["environment"]) - ours == set()
    assert str(cloud.data) not in str({name: value for name, value in seen["environment"].items() if name != "PATH"})
    places = {
        link
        for link in seen["descriptors"].values()
        if not link.startswith(("socket:", "pipe:", "/dev/null", "anon_inode:", "/proc/"))
    }
    assert places == set()
    assert seen["user"][0] not in (0, 1000)


# --- networks --------------------------------------------------------------------------------------------------------------


def connect(targets: list[tuple[str, int]]) -> dict[str, str]:
    import socket

    said = {}
    for host, port in targets:
        try:
            with socket.create_connection((host, port), timeout=3):
                said[f"{host}:{port}"] = "connected"
        except OSError as error:
            said[f"{host}:{port}"] = type(error).__name__
    return said


def test_an_attack_by_connecting_anywhere_reaches_nothing(cloud: Cloud) -> None:
    """Not the node's web address, not nats-server, not a server of the machine, by any address."""
    with (
        socket.create_server(("0.0.0.0", 0)) as server,
        socket.create_server(("::", 0), family=socket.AF_INET6) as sixth,
    ):
        port, six = server.getsockname()[1], sixth.getsockname()[1]
        addresses = [
            one.address for card in psutil.net_if_addrs().values() for one in card if one.family == socket.AF_INET
        ]
        web, nats = urlsplit(cloud.address).port, urlsplit(cloud.status()["nats"]).port
        assert web and nats
        targets = [(address, port) for address in {*addresses, "127.0.0.2", "0.0.0.0", "10.0.2.2", "172.17.0.1"}]
        targets += [("::1", six), ("::", six), ("::ffff:127.0.0.1", port), ("localhost", port)]
        targets += [
            ("127.0.0.1", web),
            ("localhost", web),
            ("127.0.0.1", nats),
            *((address, web) for address in addresses),
        ]
        targets += [("1.1.1.1", 53), ("192.0.2.1", 80), ("169.254.169.254", 80), ("224.0.0.1", 80)]
        said = cloud.attack(connect, targets)
    assert "connected" not in said.values(), said


def test_an_attack_on_every_loopback_port_finds_bus_and_gateway_alone(cloud: Cloud) -> None:
    def scan() -> list[int]:
        import socket

        found = []
        for port in range(1, 65536):
            with socket.socket() as one:
                # A connection may meet itself, if its own port is the one that it looks for.
                if one.connect_ex(("127.0.0.1", port)) == 0 and one.getsockname() != one.getpeername():
                    found.append(port)
        return found

    def own() -> list[int]:
        import os
        from urllib.parse import urlsplit

        return [urlsplit(os.environ[name]).port or 0 for name in ("NATS_URL", "PCLOUD_URL")]

    assert sorted(cloud.attack(scan)) == sorted(cloud.attack(own))


def test_an_attack_on_unix_sockets_of_the_machine_reaches_none(cloud: Cloud) -> None:
    """Abstract ones belong to a network namespace, others to a place in the file system."""
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"\0pcloud-test-{os.getpid()}"
        listener.bind(name)
        listener.listen()

        def reach(names: list[str]) -> dict[str, str]:
            import socket

            said = {}
            for name in names:
                with socket.socket(socket.AF_UNIX) as one:
                    try:
                        one.connect(name)
                        said[name] = "connected"
                    except OSError as error:
                        said[name] = type(error).__name__
            return said

        sockets = [str(path) for path in cloud.data.rglob("*.sock")]
        said = cloud.attack(
            reach, [name, *sockets, "/run/pcloud/gateway.sock", "/run/dbus/system_bus_socket", "\0/tmp/.X11-unix/X0"]
        )
    assert "connected" not in said.values(), said


def test_an_attack_by_other_kinds_of_sockets_reaches_nothing(cloud: Cloud) -> None:
    def open_sockets() -> dict[str, str]:
        import socket

        said = {}
        kinds = {
            "packet": (17, socket.SOCK_RAW, 0x0300), "raw": (socket.AF_INET, socket.SOCK_RAW, 1),
            "raw6": (socket.AF_INET6, socket.SOCK_RAW, 58),
            "vsock": (40, socket.SOCK_STREAM, 0), "bluetooth": (31, socket.SOCK_RAW, 1), "alg": (38, socket.SOCK_SEQPACKET, 0),
            "xdp": (44, socket.SOCK_RAW, 0), "can": (29, socket.SOCK_RAW, 1), "tipc": (30, socket.SOCK_RDM, 0),
        }  # fmt: skip
        for name, kind in kinds.items():
            try:
                with socket.socket(*kind) as one:
                    said[name] = "opened"
                    if name == "vsock":
                        one.settimeout(2)
                        one.connect((2, 22))
                        said[name] = "connected"
            except OSError as error:
                said[name] = said.get(name, "") + type(error).__name__
        return said

    said = cloud.attack(open_sockets)
    assert not [name for name, result in said.items() if result.startswith("opened")], said


def test_an_attack_by_netlink_changes_no_network(cloud: Cloud) -> None:
    """Making an interface, and bringing loopback down."""

    def change() -> list[str]:
        import fcntl
        import socket
        import struct

        said = []
        try:
            with socket.socket(16, socket.SOCK_RAW, 0) as netlink:  # ROUTE
                name = b"evil\0\0\0\0"
                info = struct.pack("HH", 4 + 12, 18) + struct.pack("HH", 9, 1) + b"dummy\0\0\0"
                body = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("HH", 4 + len(name), 3) + name + info
                netlink.send(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
                answer = netlink.recv(4096)
                said.append(f"link {struct.unpack_from('i', answer, 16)[0]}")
        except OSError as error:
            said.append(type(error).__name__)
        try:
            with socket.socket() as one:
                fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", 0))  # SIOCSIFFLAGS
                said.append("down")
        except OSError as error:
            said.append(type(error).__name__)
        return said

    said = cloud.attack(change)
    assert "link 0" not in said and "down" not in said, said


# --- ways out that the kernel offers -----------------------------------------------------------------------------------------


def system_calls() -> dict[str, str]:
    import ctypes
    import errno
    import os
    import platform

    libc = ctypes.CDLL(None, use_errno=True)
    x86 = platform.machine() == "x86_64"
    calls = {
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "mount proc": lambda: libc.mount(b"proc", b"/tmp", b"proc", 0, None),
        "remount": lambda: libc.mount(b"none", b"/", None, 32 | 4096, None),
        "umount": lambda: libc.umount2(b"/app", 2),
        "pivot_root": lambda: libc.syscall(155 if x86 else 41, b"/tmp", b"/tmp"),
        "chroot": lambda: libc.chroot(b"/tmp"),
        "unshare user": lambda: libc.unshare(0x10000000),
        "unshare mount": lambda: libc.unshare(0x00020000),
        "unshare net": lambda: libc.unshare(0x40000000),
        "clone3": lambda: libc.syscall(435, ctypes.create_string_buffer(88), 88),
        "clone user": lambda: libc.syscall(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0),
        "setns": lambda: libc.setns(os.open("/proc/self/ns/net", os.O_RDONLY), 0),
        "setuid": lambda: libc.setuid(0),
        "setgid": lambda: libc.setgid(0),
        "setgroups": lambda: libc.setgroups(1, ctypes.byref(ctypes.c_int(0))),
        "keyctl": lambda: libc.syscall(250 if x86 else 219, 0, -3, 1),
        "add_key": lambda: libc.syscall(248 if x86 else 217, b"user", b"x", b"y", 1, -3),
        "bpf": lambda: libc.syscall(321 if x86 else 280, 0, ctypes.create_string_buffer(128), 128),
        "perf_event_open": lambda: libc.syscall(298 if x86 else 241, ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "userfaultfd": lambda: libc.syscall(323 if x86 else 282, 0),
        "io_uring": lambda: libc.syscall(425, 8, ctypes.create_string_buffer(256)),
        "open_by_handle_at": lambda: libc.syscall(304 if x86 else 265, -100, ctypes.create_string_buffer(128), 0),
        "kexec_load": lambda: libc.syscall(246 if x86 else 104, 0, 0, None, 0),
        "init_module": lambda: libc.syscall(175 if x86 else 105, b"x", 1, b""),
        "reboot": lambda: libc.syscall(169 if x86 else 142, 0xFEE1DEAD, 672274793, 0x01234567, 0),
        "settimeofday": lambda: libc.settimeofday(ctypes.create_string_buffer(16), None),
        "sethostname": lambda: libc.sethostname(b"evil", 4),
        "swapon": lambda: libc.swapon(b"/data/x", 0),
        "iopl": (lambda: libc.syscall(172, 3)) if x86 else (lambda: -1),
        "nice": lambda: libc.setpriority(0, 0, -20),
        "syslog": lambda: libc.klogctl(3, ctypes.create_string_buffer(64), 64),
        "capset": lambda: libc.capset((ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)(*[0xFFFFFFFF] * 6)),
        "memory of 1": lambda: os.open("/proc/1/mem", os.O_RDWR),
    }
    said = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        try:
            result = call()
        except OSError as error:
            said[name] = errno.errorcode[error.errno or 0]
            continue
        if name.startswith("clone") and result == 0:
            os._exit(0)
        said[name] = "done" if result >= 0 else errno.errorcode.get(ctypes.get_errno(), "refused")
    return said


def test_an_attack_by_the_kernels_ways_out_is_refused_each(cloud: Cloud) -> None:
    said = cloud.attack(system_calls)
    assert {name: result for name, result in said.items() if result == "done"} == {}


def test_an_attack_by_a_program_with_another_users_rights_gains_none(cloud: Cloud) -> None:
    """Set-user-id programs of the machine run without that bit; a copy made here can't have the bit's effect."""

    def gain() -> list[int]:
        import os
        import shutil
        import subprocess
        import sys

        users = []
        for folder in ("/data", "/tmp", "/dev/shm"):
            copy = f"{folder}/python"
            shutil.copy(os.path.realpath(sys.executable), copy)
            os.chmod(copy, 0o6755)
            done = subprocess.run([copy, "-c", "import os; print(os.geteuid())"], capture_output=True, text=True)
            users.append(int(done.stdout or -1))
        for program in (
            ["su", "-c", "id -u"],
            ["mount", "-t", "tmpfs", "none", "/tmp"],
            ["unshare", "-r", "id", "-u"],
            ["passwd", "-d", "root"],
        ):
            try:
                done = subprocess.run(program, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10)
                users.append(0 if done.returncode == 0 else -1)
            except (OSError, subprocess.TimeoutExpired):
                users.append(-1)
        return users

    assert 0 not in cloud.attack(gain)


def test_an_attack_by_typing_into_a_terminal_is_refused(cloud: Cloud) -> None:
    def type_in() -> list[str]:
        import fcntl
        import os
        import pty

        said = []
        main, _ = pty.openpty()
        for number, argument in ((0x5412, b"x"), (0x541C, b"\2"), (0x5412 | 1 << 32, b"x")):
            for descriptor in (main, 0, 1, 2):
                try:
                    fcntl.ioctl(descriptor, number & 0xFFFFFFFF, argument)
                    said.append("typed")
                except (OSError, OverflowError) as error:
                    said.append(type(error).__name__)
        try:
            os.open("/dev/tty", os.O_RDWR)
            said.append("tty")
        except OSError:
            pass
        return said

    assert not {"typed", "tty"} & set(cloud.attack(type_in))


# --- what core trusts of the sandbox -----------------------------------------------------------------------------------------


def test_an_attack_by_taking_the_bus_and_gateways_ports_fools_the_attacker_alone(cloud: Cloud) -> None:
    """Its loopback is its own: a program that listens there instead talks to itself."""

    def take() -> list[str]:
        import os
        import socket
        from urllib.parse import urlsplit

        said = []
        for name in ("NATS_URL", "PCLOUD_URL"):
            port = urlsplit(os.environ[name]).port or 0
            for host in ("127.0.0.1", "0.0.0.0", "::"):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    try:
                        one.bind((host, port))
                        one.listen()
                        said.append("taken")
                    except OSError as error:
                        said.append(type(error).__name__)
        return said

    cloud.attack(take)
    assert cloud.call("other/greet")["caller"] == "person:owner"


def test_an_attack_leaves_nothing_behind_when_its_app_is_removed(cloud: Cloud) -> None:
    """However it hides from the process that core started."""

    def hide() -> int:
        import os
        import signal
        import time

        from attacker.behind import stays_behind

        if stays_behind():
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                if os.fork():
                    os.setsid() if os.getpid() != os.getsid(0) else None
                    time.sleep(0.2)
                    os._exit(0)
        return 0

    cloud.install_archive(cloud.installed("guest"), hand_over=True)
    user = app_process(cloud, "guest").uids().real
    cloud.attack(hide, app="guest")
    of_user: Callable[[], list[int]] = lambda: [one.pid for one in psutil.process_iter() if _user_of(one) == user]  # noqa: E731
    assert of_user()
    cloud.cli("app", "remove", "guest", "--yes")
    wait_until(lambda: not of_user(), what="the end of all that the app had started")


def _user_of(process: psutil.Process) -> int:
    try:
        return process.uids().real
    except psutil.Error:
        return -1
