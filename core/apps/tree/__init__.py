"""Folders whose content belongs to an app: counted, copied, given to another user and removed, safe against anything
that the app does to them.

    walk        visits every folder and entry, one descriptor at a time
    copied      copies the tree to another place
    tree_bytes  measures the tree on the disk
    removed     removes the tree

Nothing here uses a path below the first folder: names are relative to a descriptor, so that neither a long path nor
a folder replaced by a link leads elsewhere. There is no recursion, so any depth works. If core runs as the app's own
user, folders and files that the app has closed to that user are opened first.
"""

from core.apps.tree.copied import copy_tree, matching
from core.apps.tree.opened import open_up
from core.apps.tree.removed import remove_tree
from core.apps.tree.tree_bytes import tree_bytes
from core.apps.tree.walk import WalkStep, walk

__all__ = ["WalkStep", "copy_tree", "matching", "open_up", "remove_tree", "tree_bytes", "walk"]
