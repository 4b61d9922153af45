"""The graph view in memory, as simple as can be: what the other stores are compared with, and what small tests run on.

It is slow on purpose, and keeps nothing when the process ends.
"""

from projections.graph.model.graph import ModelGraph

__all__ = ["ModelGraph"]
