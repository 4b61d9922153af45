"""An export: all that is the owner's as plain folders, which need no PCloud to be read.

names        names of files that every file system takes
photograph   what an image's node says of its file: name, date, place, people
sidecar      the XMP file beside a photograph
ledger       which files the folder has, so that an interrupted export goes on
target       the folder: what it may be, and how a file is written whole or not at all
graph        the nodes as JSON lines
objects      the bytes, from the object store
readme       the text in the folder
write        the export as a whole

check        whether a folder is a complete and undamaged export
nodes        the nodes, written into a cloud
uploads      the bytes, put into its object store
read_back    the import as a whole
"""
