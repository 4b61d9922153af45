"""How much each app may ask of the node per second, and write into the log in all, so that each app leaves enough for the others."""

from core.access.quota.graph_quota import GraphQuota
from core.access.quota.quotas import Quotas, QuotaSettings
from core.access.quota.refusals import QuotaRefusals
from core.access.quota.size import size_of

__all__ = ["GraphQuota", "QuotaRefusals", "QuotaSettings", "Quotas", "size_of"]
