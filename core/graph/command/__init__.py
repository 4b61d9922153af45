"""Commands: what changes the graph. Each becomes one transaction on the log, or nothing."""

from core.graph.command.change import EntityChange
from core.graph.command.derived_ids import IdSource, entity_id, request_hash, transaction_of_key, transaction_of_run
from core.graph.command.protocols import FoldingLoop
from core.graph.command.staging import Staging
from core.graph.command.transact import Commands, Outcome, WriteRequest

__all__ = [
    "Commands",
    "EntityChange",
    "FoldingLoop",
    "IdSource",
    "Outcome",
    "Staging",
    "WriteRequest",
    "entity_id",
    "request_hash",
    "transaction_of_key",
    "transaction_of_run",
]  # fmt: skip
