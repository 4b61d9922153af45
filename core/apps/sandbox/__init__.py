"""The sandbox: everything that separates an app from the machine, from core and from the other apps.

    machine        what this machine can do
    limits         how much an app may use
    bubblewrap     finds the programs that make sandboxes
    command        bubblewrap's command line
    refused_calls  the system calls that apps do not need
    user           a user id for each app
    cgroup         memory and processes, counted by the kernel
    starter        the first program inside
    door           core's end of the channel to it
    opener         opens sockets that the starter may not
    privileged     core's end of the channel to the opener
    accept         accepts connections that an app makes
    ports          ports that apps publish for each other
    loopback       the use of each loopback address
    watch          limits that the kernel does not enforce
    cell           one start of one app, all of it together

It does not relay bytes within the sandbox, and it does not know what an app is for: it receives folders, ports and
limits.
"""

from core.apps.sandbox.cell import Cell, CellPlan
from core.apps.sandbox.limits import Limits
from core.apps.sandbox.machine import Machine, probe
from core.apps.sandbox.ports import Ports, Published

__all__ = ["Cell", "CellPlan", "Limits", "Machine", "Ports", "Published", "probe"]
