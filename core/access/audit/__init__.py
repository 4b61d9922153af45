"""Who called what, and who was refused what: by core, by nats-server, by the kernel. `Audit` writes it down, `read_audit` reads it; only
the owner may use either."""

from core.access.audit.bus_refusals import watch_bus
from core.access.audit.core_refusals import api_refused, archive_audited
from core.access.audit.log import ANYONE, Audit
from core.access.audit.read import AuditPage, read_audit

__all__ = ["ANYONE", "Audit", "AuditPage", "api_refused", "archive_audited", "read_audit", "watch_bus"]
