"""Opens listening sockets in a sandbox's network from outside, on ports below 1024.

Called as `python -I -S opener.py PID CONTROL ADDRESSES`: a process in the sandbox, an inherited socket to core,
JSON. Listening on such a port takes rights over the network namespace. No program within the sandbox has them, not
even the first one, if bubblewrap has disabled user namespaces for it; core has them, because core's user made the
namespace that owns the network. So this program, which is not the app's and runs none of its code, enters the
namespaces (setns(2)), opens the sockets, sends them to core, and ends.

Plain Python that imports none of our modules, so that it has one thread: only such a process may change its user
namespace.
"""

import ctypes
import fcntl
import json
import os
import socket
import sys

BACKLOG = 128
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NS_GET_USERNS = 0xB701  # ioctl_ns(2)

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    network = os.open(f"/proc/{int(sys.argv[1])}/ns/net", os.O_RDONLY)
    if os.geteuid() != 0:
        enter(fcntl.ioctl(network, NS_GET_USERNS), CLONE_NEWUSER)
    enter(network, CLONE_NEWNET)
    listeners: list[socket.socket] = []
    for address, port in json.loads(sys.argv[3]):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listeners.append(listener)
    control = socket.socket(fileno=int(sys.argv[2]))
    socket.send_fds(control, [b"open"], [listener.fileno() for listener in listeners])


def enter(namespace: int, kind: int) -> None:
    if libc.setns(namespace, kind) != 0:
        sys.exit(f"the sandbox can't be entered: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
