"""The runs view: what the event processor did and does with every event, folded from the stream RUNS."""
