"""The command `pcloud`.

Exit codes: 0 done, 1 unexpected, 2 the request was wrong (or the owner said no), 3 not found, 4 conflict, 5 forbidden, 6 something
needed is missing, 7 stored data is damaged, 130 interrupted. Facts go to standard output, messages for people to standard
error.

Nothing heavy is imported here: a command that only asks a running node should answer at once.
"""

from __future__ import annotations

import sys

__all__ = ["EXIT_CODES", "main"]

EXIT_CODES = {"REJECTED": 2, "NOT_FOUND": 3, "CONFLICT": 4, "FORBIDDEN": 5, "UNAVAILABLE": 6, "CORRUPT": 7}
INTERRUPTED = 130


def main() -> None:
    """Run the command line; print a PCloud error as one sentence, and exit with its code."""
    try:
        from core.cli.commands import cli
        from core.cli.terminal import say_error
        from pcloud.errors import PCloudError

        try:
            cli()
        except PCloudError as error:
            say_error(error.message)
            sys.exit(EXIT_CODES.get(error.code, 1))
    except KeyboardInterrupt:  # also while modules are still being imported
        sys.exit(INTERRUPTED)
