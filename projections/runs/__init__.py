"""The runs projection: what the event processor has done with every event, folded from the stream RUNS."""

from projections.runs.log import RunEntry, RunLog
from projections.runs.opening import open_runs_on
from projections.runs.projection import RunPage, RunsProjection, open_runs
from projections.runs.record import Run, RunError, decode_run, encode_run

__all__ = [
    "Run",
    "RunEntry",
    "RunError",
    "RunLog",
    "RunPage",
    "RunsProjection",
    "decode_run",
    "encode_run",
    "open_runs",
    "open_runs_on",
]
