"""The sandbox: everything that keeps an app away from the machine, from core and from the other apps.

machine     what this machine can do            limits    how much an app may use
bubblewrap  the programs that make sandboxes
command     bubblewrap's command line           seccomp   system calls that no app needs
user        a user id of the app's own          cgroup    memory and processes, counted by the kernel
starter     the first program inside            door      core's end of the channel to it
opener      sockets that it may not open        privileged  core's end of that
accept      connections that an app makes       ports     ports that apps have for each other
loopback    what its addresses are for          watch     limits that no kernel keeps
cell        one start of one app, all of it together

It refuses to relay a byte within the sandbox, and to know what an app is for: it is told folders, ports and limits.
"""

from core.apps.sandbox.cell import Cell, Plan
from core.apps.sandbox.limits import Limits
from core.apps.sandbox.machine import Machine, probe
from core.apps.sandbox.ports import Ports, Published

__all__ = ["Cell", "Limits", "Machine", "Plan", "Ports", "Published", "probe"]
