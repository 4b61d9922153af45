"""An app as one file: how large it may be, how it is read without trusting it, packed, and kept until it is installed."""
