"""For how many days projections keep what is not kept for ever. Times are those of the log, so every node drops the same."""

from __future__ import annotations

__all__ = ["DONE_RUN_DAYS", "TRANSACTION_DAYS"]

# So long a graph projection knows a transaction again: a repeated `Idempotency-Key` gets the first answer, and it can be undone.
TRANSACTION_DAYS = 90
# So long the stream RUNS and the runs projection keep a run that is DONE. Others stay.
DONE_RUN_DAYS = 90
