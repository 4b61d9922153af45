"""A support bundle: what a bug report needs of a node, in one file that its owner can read through and pass on.

    allowed    which fields of an answer may leave the node: all others are left out
    parts      the parts of a bundle, each of which may fail alone
    archive    one bounded `.tar.gz`, readable by its owner only

Nothing is taken over and cleaned: each part is put together of values that are known by name and have a known form.
"""

from core.cli.bundle.archive import write_bundle
from core.cli.bundle.parts import Part, gather

__all__ = ["Part", "gather", "write_bundle"]
