"""Work: calls of apps, people and devices to an app (`call`), and the runs that events and replays make of an app's triggers (`processor`).

Whether a call is allowed is decided in `call.authorization`, and when a run is FAILED in `processor.done_or_failed`.
"""
