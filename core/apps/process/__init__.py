"""An app on this node: its folders, Python and environment, its door to core, its process and what that says.

What happens when the process dies is decided in `supervisor`, and which variables it gets in `environment`.
"""
