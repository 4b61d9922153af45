"""The graph view in memory, as simple as can be: what the other stores are compared with, and what answers for core's own types.

It looks at every entity for each question, which is quick for the few hundred of core's and slow for a library of pictures.
"""

from projections.graph.model.graph import ModelGraph
from projections.graph.model.state import Frozen

__all__ = ["Frozen", "ModelGraph"]
