"""How much of the log each app has written."""

from projections.written.projection import Written, open_written

__all__ = ["Written", "open_written"]
