"""Views folded from the log: one loop, and a package per view (graph, search, runs).

A projection never writes the log. It commits its checkpoint in the same store transaction as what it folded.
"""
