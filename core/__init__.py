"""The platform: schema views, GraphQL API, commands, apps, grants, calls, the event processor, ingress, devices, node and CLI.

An application, never published as a library: only `pcloud` is.
"""
