"""The embedded nats-server: started, watched and ended by the node that uses it.

It does not share its folder with a second node and does not accept connections without credentials. To use an external
cluster, give its address (`eventstore.settings.ConnectionSettings`); then this package does not run.
"""

from eventstore.server.embedded import EmbeddedServer, open_server
from eventstore.settings import ServerSettings

__all__ = ["EmbeddedServer", "ServerSettings", "open_server"]
