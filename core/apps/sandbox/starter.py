"""The first program inside a sandbox: opens the app's listeners, hands them to core, gives up all rights, and becomes
the app.

Called as `python -I -S starter.py ORDERS CONTROL`, two inherited file descriptors: a file with its orders as JSON,
and a socket to core. It listens on the sandbox's own loopback and sends the listening sockets to core, so that a
program that connects to them talks to core directly. Then it waits for core's go-ahead; until then core opens the
privileged sockets (`opener`). If core has to reach the app, a second process stays: the dialer, which connects to a
port inside and sends the connected socket out.

Plain Python that imports none of our modules: the app's environment must not be trusted with core's work, and the
start has to be fast.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys

LOOPBACK = "127.0.0.1"
BACKLOG = 128
GO = 2
ASK = struct.Struct("!IH")  # number of the request, port
DIAL_SECONDS = 3.0
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAPABILITY = 63

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    orders_file, control = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    with open(orders_file, "rb") as file:
        file.seek(0)
        orders = json.load(file)
    # Before core learns its number: from then on a signal to its group arrives.
    os.setsid()
    hand_over(control, orders["listen"])
    if not control.recv(GO):
        sys.exit("pcloud: core has ended")
    give_up_rights(orders["limits"], orders["user"])
    if orders["dial"]:
        stay_as_dialer(control)
    control.close()
    os.closerange(3, 256)
    os.chdir(orders["folder"])
    command = orders["command"]
    try:
        os.execvpe(command[0], command, orders["environment"])  # noqa: S606 - a list that core made
    except OSError as error:
        sys.exit(f"pcloud: {command[0]!r} can't be started: {error.strerror}")


def hand_over(control: socket.socket, addresses: list[tuple[str, int]]) -> None:
    listeners: list[socket.socket] = []
    for address in addresses:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(tuple(address))
        listener.listen(BACKLOG)
        listeners.append(listener)
    # The kernel adds the sender: that is how core learns this process's number outside.
    socket.send_fds(control, [b"open"], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()


def give_up_rights(limits: dict[str, int], user: int) -> None:
    """Give up, for good: limits, capabilities, groups, user."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    if user:
        for capability in range(LAST_CAPABILITY + 1):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                break  # the kernel has no more capabilities
        os.setgroups([])
        os.setresgid(*[user] * 3)
        os.setresuid(*[user] * 3)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        sys.exit(f"pcloud: the capabilities can't be given up: {os.strerror(ctypes.get_errno())}")
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)


def stay_as_dialer(control: socket.socket) -> None:
    """Fork twice, so that the dialer is not the app's child."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # Processes of the app's user must not inspect it or take its socket. Set before the second fork, so that it holds
    # when the app begins.
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    try:
        dial(control)
    finally:
        os._exit(0)


def dial(control: socket.socket) -> None:
    """Serve until core closes its end. Every request gets one answer: its number, and the connected socket if the connection succeeded."""
    while question := control.recv(ASK.size):
        number, port = ASK.unpack(question)
        with socket.socket() as connection:
            connection.settimeout(DIAL_SECONDS)
            try:
                connection.connect((LOOPBACK, port))
            except OSError as error:
                control.send(struct.pack("!II", number, error.errno or 0))
                continue
            connection.setblocking(False)
            socket.send_fds(control, [struct.pack("!II", number, 0)], [connection.fileno()])


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
