"""One node: `bootstrap` opens its parts in order, and `node` is the running node.

The other files are its views, its data folder, the disk guard and the log of the process.
"""
