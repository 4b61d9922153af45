"""The log: every change of the graph, in order, in one JetStream stream; and the embedded nats-server that
stores it.

Appends transactions, reads and follows them, delivers them to durable consumers. It folds nothing and knows no schema:
the projections decide what an event means. Beside GRAPH it keeps the queue of durable calls, the runs' states, the
audit records and the apps' archives.
"""

from eventstore.consumer import ConsumerPosition, DurableConsumer
from eventstore.runs import RunState, RunStore
from eventstore.server import EmbeddedServer, open_server
from eventstore.settings import ConnectionSettings, Credentials, ServerSettings, StoreSettings
from eventstore.store import EventStore, EventStoreReader, open_store
from eventstore.topology import renew_epoch
from eventstore.transaction import Appended, Transaction
from eventstore.trigger import EventConsumer, EventDelivery
from eventstore.work import WorkDelivery, WorkQueue

__all__ = [
    "Appended",
    "ConnectionSettings",
    "ConsumerPosition",
    "Credentials",
    "DurableConsumer",
    "EmbeddedServer",
    "EventConsumer",
    "EventDelivery",
    "EventStore",
    "EventStoreReader",
    "RunState",
    "RunStore",
    "ServerSettings",
    "StoreSettings",
    "Transaction",
    "WorkDelivery",
    "WorkQueue",
    "open_server",
    "open_store",
    "renew_epoch",
]  # fmt: skip
