"""The embedded nats-server: started, watched and ended by the node that needs it.

It refuses to share its folder with a second node, and to be reached without credentials. An outside cluster is used by
its address instead (`eventstore.settings.ConnectionSettings`); then nothing of this room runs.
"""

from eventstore.server.embedded import EmbeddedServer, open_server
from eventstore.settings import ServerSettings

__all__ = ["EmbeddedServer", "ServerSettings", "open_server"]
