"""One app on this node: its folders, Python and environment, its connection to core, its process and the process's log.

`supervisor` decides what happens when the process dies; `environment` decides which variables it gets.
"""
