"""Serve on 127.0.0.1:$PORT until SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading

from random_puppy.server import PuppyServer

__all__ = ["main"]


def main() -> None:
    """Ends with 0 on SIGTERM or SIGINT, and with 1 and a sentence if it can't start."""
    port = os.environ.get("PORT", "")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        sys.exit(f"PORT is {port!r}: set it to the port to listen on, such as PORT=8080")
    try:
        server = PuppyServer(int(port))
    except OSError as error:
        sys.exit(f"can't listen on 127.0.0.1:{port}: {error.strerror}; choose another PORT")
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop below, which this handler interrupts: so it runs in a thread.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"puppies at http://127.0.0.1:{port}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
