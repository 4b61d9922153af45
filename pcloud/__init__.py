"""The contract of PCloud and the SDK for its applications.

This room holds what a third party imports: the grammar of names and subjects, events, the manifest, the error tree and
`App`. It imports nothing else of PCloud's, and is published alone as `pcloud-sdk`.
"""
