"""Notices: what a person should know about this cloud, from when it begins until it is over or dismissed."""

from core.people.notice.condition import NoticeCondition, Severity
from core.people.notice.notices import NoticeBoard

__all__ = ["NoticeBoard", "NoticeCondition", "Severity"]
