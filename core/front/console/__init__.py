"""The console: the owner's own page at console.DOMAIN, where apps are reviewed, installed, watched, replayed and
removed.

`console` holds the rules by which it is served, `files` its built files; the page's source is in `web/`. It can do
nothing that the command line could not: its API is the administration socket's, without the parts that give out
credentials.
"""

from core.front.console.console import CONSOLE, Console

__all__ = ["CONSOLE", "Console"]
