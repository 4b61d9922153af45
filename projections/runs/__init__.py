"""The runs view: what the event processor has done with every event, folded from the stream RUNS."""

from projections.runs.log import RunEntry, RunLog
from projections.runs.opening import open_runs_on
from projections.runs.record import Run, RunError, decode_run, encode_run
from projections.runs.view import RunPage, RunsView, open_runs

__all__ = [
    "Run",
    "RunEntry",
    "RunError",
    "RunLog",
    "RunPage",
    "RunsView",
    "decode_run",
    "encode_run",
    "open_runs",
    "open_runs_on",
]
