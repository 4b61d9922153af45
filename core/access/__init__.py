"""Who sends a request, what was granted to that caller, how much it may use, and what is recorded about it.

Every request, call and command carries a `Caller`. Nothing here knows the graph, the apps or HTTP.
"""
