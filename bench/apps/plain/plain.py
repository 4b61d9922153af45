"""Only stays up: no library, not even PCloud's own."""

import signal

if __name__ == "__main__":
    signal.pause()
