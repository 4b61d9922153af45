"""What the SDK reads in msgspec's messages, which are its only report of what is wrong where; a test says what an update has changed.

The messages name fields of an object at a path, `Expected 'str', got 'int' - at '$.place'`; callers of an action know arguments.
"""

from __future__ import annotations

import msgspec

__all__ = ["in_terms_of_arguments"]


def in_terms_of_arguments(error: msgspec.ValidationError) -> str:
    """The message about an action's arguments: `$.image` becomes `argument 'image'`. Words that are not known stay."""
    text = str(error).replace("Object contains unknown field", "there is no argument").replace("`", "'")
    text = text.replace("Object missing required field", "missing argument")
    return text.replace(" - at '$.", " - for argument '")
