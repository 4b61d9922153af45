"""Projections folded from the log: one loop, and a package per projection (directory, graph, search, runs, written).

A projection never writes the log. It commits its checkpoint in the same store transaction as what it folded.
"""
