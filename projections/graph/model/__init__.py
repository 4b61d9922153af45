"""The graph projection in memory, as simple as possible: the reference for the other stores, and the store of core's own
types.

It looks at every entity for each query, which is fast for core's few hundred and slow for a photo library.
"""

from projections.graph.model.graph import ModelGraph
from projections.graph.model.state import Frozen

__all__ = ["Frozen", "ModelGraph"]
