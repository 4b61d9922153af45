"""Views folded from the log: one loop, and a room per view (graph, search, runs).

A projection never writes the log, and commits its checkpoint in the same transaction of its store as what it folded.
"""
