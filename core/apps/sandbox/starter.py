"""The first program inside a sandbox: opens the app's doors, hands them out to core, gives up all rights, and becomes the app.

Called as `python -I -S starter.py ORDERS CONTROL`, two inherited file descriptors: a file with its orders as JSON, and a socket to core.
It listens on the sandbox's own loopback and sends the listening sockets to core, so whoever connects to them talks to core directly.
Then it waits for core's word: until then core opens what needs more rights (`opener`).
Where core has to reach the app, a second process stays: the dialer, which connects to a port inside and sends the connected socket out.

Plain Python without any import of ours: the app's environment is not to be trusted with core's work, and it has to start fast.
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
ASK = struct.Struct("!IH")  # number of the question, port
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
    # Before core knows of it: from then on a signal to its group arrives.
    os.setsid()
    hand_over(control, orders["listen"])
    if not control.recv(GO):
        sys.exit("pcloud: core has ended")
    give_up_rights(orders)
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
    listeners = []
    for address in addresses:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(tuple(address))
        listener.listen(BACKLOG)
        listeners.append(listener)
    # The kernel adds who sends it: that is how core learns this process's number outside.
    socket.send_fds(control, [b"open"], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()


def give_up_rights(orders: dict) -> None:
    """What can't be had again: limits, capabilities, groups, user."""
    for name, value in orders["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    if orders["user"]:
        for capability in range(LAST_CAPABILITY + 1):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                break  # the kernel knows no more of them
        os.setgroups([])
        os.setresgid(*[orders["user"]] * 3)
        os.setresuid(*[orders["user"]] * 3)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        sys.exit(f"pcloud: the capabilities can't be given up: {os.strerror(ctypes.get_errno())}")
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)


def stay_as_dialer(control: socket.socket) -> None:
    """Forked twice, so that the app never meets it as its child."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # Nobody of the app's user may look into it or take its socket. Before the second fork: it holds when the app begins.
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
    """Until core closes its end. Every question gets one answer: its number, and the connected socket if there is one."""
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
