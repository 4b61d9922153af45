"""How much each app may ask of the node in a while, so that none takes it from the others."""

from core.quota.quotas import Quotas, QuotaSettings
from core.quota.size import size_of

__all__ = ["QuotaSettings", "Quotas", "size_of"]
