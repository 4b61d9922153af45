"""The GraphQL API over HTTP and websockets: each caller's own view of the graph, and the platform's commands."""

from core.graph.api.api import Api
from core.graph.api.context import Context
from core.graph.api.request_limits import ApiLimits
from core.graph.api.served import PlatformFields
from core.graph.api.sources import Sources

__all__ = ["Api", "ApiLimits", "Context", "PlatformFields", "Sources"]
