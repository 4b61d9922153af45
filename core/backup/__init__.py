"""Backups of a whole cloud: taken from a running node's instant copy, stored by restic, proven, and restored.

record      what a backup says of itself, and how that is compared
folded      folds a copied log, for the record and for every proof
place       a folder or an S3 service
repository  restic, as this package uses it
take        stores an instant copy as a backup
verify      proves the newest backup without restoring it
restore     makes a cloud from it in an empty folder
"""
