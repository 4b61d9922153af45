"""Measurements of speed and memory on a real node, printed and never asserted: `just bench`, `just bench --json`.

    acknowledge   a mutation's answer, from sending to the durable acknowledgement
    trigger       from that acknowledgement to the start of a trigger's action
    upload        from the start of a 2-megapixel upload to its being found by search
    ingest        photographs per second through the whole pipeline, against the bare detector called in a loop
    memory        proportional set size of the idle node with five apps, empty and full

Each figure is a median of many, with its spread; it differs on other machines. Compare ratios.
"""
