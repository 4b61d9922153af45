"""Egress: how apps reach hosts outside this computer. Apps never connect themselves: core accepts their connections on
the loopback of their sandbox, decides, and dials.

    address        which addresses are public, in the home's network, or never dialled
    decide         what the grants of an app allow
    dial           resolves a name once and connects that address
    flows          open connections: counted, cut, and recorded
    proxy_request  CONNECT, absolute-form HTTP, SOCKS5h
    egress         one app's listeners, and all of it together

It refuses UDP, and addresses in place of names, and it does not inspect traffic: TLS is between the app and the
host.
"""

from core.apps.egress.dial import Outside
from core.apps.egress.egress import Doors, Egress
from core.apps.egress.flows import Tally

__all__ = ["Doors", "Egress", "Outside", "Tally"]
