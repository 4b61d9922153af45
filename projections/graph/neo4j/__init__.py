"""The graph on a Neo4j server that all nodes share: a label per type, a relationship type per relation.

settings    where the server is, read from an address      connection    the driver, what it may raise, whom it refuses
names       types and fields as Cypher writes them          layout        which properties and indexes a type has
schema      makes constraints and indexes                   lease         who may fold
writing     the changes of a batch, a family a statement    store         the contract `GraphStore`
server      statements and transactions, with clocks        record        the projection's own record, and whose database it is
state       where a projection stands, as its record says   dump          all that is stored
select_statement, filters, reading   a query as Cypher      scanning      what Cypher can't test
gate, marks  no answer from half of a batch                 reconnecting  goes on when the server comes and goes
versions    several, beside each other                      users         which node uses which of them
"""

from projections.graph.neo4j.reconnecting import ReconnectingNeo4j, open_reconnecting
from projections.graph.neo4j.settings import Neo4jSettings, parse_address
from projections.graph.neo4j.store import Neo4jGraph, open_neo4j_graph
from projections.graph.neo4j.versions import Neo4jVersions

__all__ = [
    "Neo4jGraph",
    "Neo4jSettings",
    "Neo4jVersions",
    "ReconnectingNeo4j",
    "open_neo4j_graph",
    "open_reconnecting",
    "parse_address",
]
