"""Finds the apps for which a person could mistake an archive: bundled ones and installed ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from core.apps.signing.author import Author
from pcloud.manifest import Manifest
from projections.directory import App

__all__ = ["plain_title", "warn_of_namesakes"]


def plain_title(manifest: Manifest) -> str:
    """The title without spaces, signs, capitals and invisible letters."""
    letters = unicodedata.normalize("NFKC", manifest.title or manifest.name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def warn_of_namesakes(
    manifest: Manifest, author: Author, bundled: Mapping[str, Manifest], installed: Mapping[str, App]
) -> list[str]:
    """Return a sentence for each app of the same title, or of the same name if that app comes with PCloud and this one does not."""
    found: list[str] = []
    title = plain_title(manifest)
    if manifest.name in bundled and not author.bundled:
        theirs = bundled[manifest.name].title or manifest.name
        found.append(f"This is NOT “{theirs}” as it comes with PCloud: somebody has changed it.")
    for name, other in bundled.items():
        if name != manifest.name and name not in installed and plain_title(other) == title:
            found.append(
                f"It has the title of the app {name}, which comes with PCloud, and is NOT that app. It {author}."
            )
    for name, app in installed.items():
        if name != manifest.name and plain_title(app.manifest) == title:
            found.append(
                f"It has the title of your app {name}, which {Author.of(app)}, and is NOT that app. It {author}."
            )
    return found
