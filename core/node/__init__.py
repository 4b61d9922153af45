"""One node: `bootstrap` opens its parts in order, and `node` is the running node.

The others: its projections and their check (`projections`, `graphs`, `verify`, `difference`), its folder and disk guard (`folder`,
`disk`), its own log (`logs`), traces around its parts (`traced`), tasks beside it and garbage collection.
"""
