"""The contract of PCloud and the SDK for its applications.

This package holds what a third party imports: the grammar of names and subjects, events, the manifest, the error tree
and `App`. It imports no other package of PCloud and is published alone as `pcloud-sdk`.
"""
