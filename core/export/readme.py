"""The text that lies in every export, for a reader who has nothing else."""

__all__ = ["README"]

README = """\
An export of a PCloud
=====================

This folder has what its owner keeps in PCloud, as plain files. It can be read without PCloud.

photographs/YEAR/  The photographs by the year in which they were taken, as "DATE NAME"; those without a date
                   are in photographs/undated. These are the original files, byte by byte.
                   Beside each, NAME.xmp has what is known of it: title, date, position, the people in it.
                   digiKam, darktable, Lightroom and exiftool read such files.
objects/BUCKET/    All other files of the object store, under their keys.
objects.jsonl      For each object of the store, one line: bucket, key, and the file that has its bytes. Characters
                   that some computers do not take in a name are replaced in the files' names; this list has the
                   original names. A photograph that is stored twice is one file here.
graph/             What is known. TYPE.jsonl has one node on each line, as JSON: its id, its fields, and its
                   relations to other nodes, by their ids. schema.graphql says what types and fields mean. A
                   relation is written once, on one of its two ends.
export.json        When and from which apps this was made, and how much it is.
missing.jsonl      If it exists: what could not be exported, and why.
SHA256SUMS         The SHA-256 of every file. `sha256sum -c SHA256SUMS` checks them all. It is written last:
                   without it, the export is not complete.
state.sqlite       Lets a later `pcloud export` into this folder fetch only what is new. Without it, export
                   into an empty folder.

Not in here: credentials, devices, sessions, the history of changes, the runs of apps, and the private data of
apps. `pcloud backup` keeps all of these.
"""
