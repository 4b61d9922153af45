"""What the owner has granted to each app: requested by its manifest, reviewed in plain words, stored as entities of
`core/Grant`.

request       from a manifest's `uses` to grants that wait for the owner, and what an upgrade carries over
wording       what a grant means, in words for the owner
stored_grant  how a grant is stored
"""

from core.access.grant.request import carry_over, decide, grant_id, requested_grants
from core.access.grant.stored_grant import grant_ref, grant_values
from core.access.grant.wording import Words, describe, explain_capability

__all__ = [
    "Words", "carry_over", "decide", "describe", "explain_capability", "grant_id", "grant_ref", "grant_values",
    "requested_grants",
]  # fmt: skip
