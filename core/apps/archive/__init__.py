"""An app as one file: its bounds, reading it without trusting it, packing it, and keeping it until it is installed."""
