"""Reads `app.yaml` and checks it."""

from __future__ import annotations

from pcloud.manifest import Manifest
from pcloud.manifest_rules import check_manifest
from pcloud.yaml_document import YamlDocument

__all__ = ["load_manifest"]


def load_manifest(text: str | bytes, file: str = "app.yaml") -> Manifest:
    """Read and check a manifest; raises `Rejected` with file, line and column, what is wrong, and what to do."""
    document = YamlDocument(text, file)
    manifest = document.read(Manifest)
    check_manifest(manifest, document)
    return manifest
