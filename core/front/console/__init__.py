"""The console: the owner's own page at console.DOMAIN, where apps are reviewed, installed, watched, replayed and removed.

Here are the rules by which it is served (`console`) and its built files (`files`); the page itself is worked on in `web/`. It can do
nothing that the command line could not: its API is the administration socket's, without what hands out credentials.
"""

from core.front.console.console import CONSOLE, Console

__all__ = ["CONSOLE", "Console"]
