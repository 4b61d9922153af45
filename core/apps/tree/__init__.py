"""Folders whose content is an app's: counted, copied, given away and removed, whatever the app has made of them.

walk     every folder and entry, one descriptor at a time       copied   the same tree in another place
size     what it takes on the disk                              removed  nothing is left

Nothing here takes a path below the first folder: names are relative to a descriptor, so neither the length of a path nor a folder that
is replaced by a link leads elsewhere. Nothing recurses, so no depth is too much. Where core is the app's own user, what the app has
closed to that user is opened first.
"""

from core.apps.tree.copied import copy_tree
from core.apps.tree.opened import open_up
from core.apps.tree.removed import remove_tree
from core.apps.tree.size import tree_bytes
from core.apps.tree.walk import Step, walk

__all__ = ["Step", "copy_tree", "open_up", "remove_tree", "tree_bytes", "walk"]
