"""Who asks, what was granted to them, how much they may use, and what is written down about it.

Every request, call and command carries a `Caller`. Nothing here knows the graph, the apps or HTTP.
"""
