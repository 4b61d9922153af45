"""Egress: how apps reach hosts outside this computer. They never do so themselves: core accepts their connections on the loopback of
their sandbox, decides, and dials.

address     which addresses are public, the home's, or never dialled       decide    what the grants of an app allow
dial        a name resolved once, and that address connected               flows     open connections, counted, cut, written down
proxy       CONNECT, absolute-form HTTP, SOCKS5h                           egress    the doors of one app, all of it together

It refuses UDP, addresses in place of names, and to look into what passes: TLS is between the app and the host.
"""

from core.apps.egress.dial import Outside
from core.apps.egress.egress import Doors, Egress
from core.apps.egress.flows import Tally

__all__ = ["Doors", "Egress", "Outside", "Tally"]
