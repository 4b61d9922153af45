"""One node: `bootstrap` opens its parts in order, and `node` is what runs then.

Here are also its views, its data folder, the disk guard and the log of the process.
"""
