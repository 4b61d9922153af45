"""How much each app may ask of the node in a while, and write into the log in all, so that none takes it from the others."""

from core.quota.graph import GraphQuota
from core.quota.quotas import Quotas, QuotaSettings
from core.quota.refusals import Refusals
from core.quota.size import size_of

__all__ = ["GraphQuota", "QuotaSettings", "Quotas", "Refusals", "size_of"]
