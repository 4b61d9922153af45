"""Who called what, and who was refused what: by core, by nats-server, by the kernel. One place writes it down (`Audit`), one reads it
(`read_audit`); both are the owner's alone."""

from core.access.audit.bus import watch_bus
from core.access.audit.log import ANYONE, Audit
from core.access.audit.read import AuditPage, read_audit
from core.access.audit.refusals import api_refused, archive_audited

__all__ = ["ANYONE", "Audit", "AuditPage", "api_refused", "archive_audited", "read_audit", "watch_bus"]
