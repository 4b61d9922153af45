"""The GraphQL API over HTTP and websockets: each caller's own view of the graph, and the platform's commands."""

from core.api.api import Api
from core.api.context import Context
from core.api.limits import ApiLimits
from core.api.served import PlatformFields

__all__ = ["Api", "ApiLimits", "Context", "PlatformFields"]
