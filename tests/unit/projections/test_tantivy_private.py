"""What PCloud knows of tantivy's files and failures: an update that changes it fails here with a plain message."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import tantivy

from projections.search.tantivy_private import first_damaged, is_panic

CHANGED = f"tantivy {version('tantivy')} has changed: see projections/search/tantivy_private.py about"


@pytest.fixture
def index(tmp_path: Path) -> tantivy.Index:
    """Three documents, of which one is deleted."""
    schema = tantivy.SchemaBuilder().add_text_field("key", stored=True, tokenizer_name="raw").build()
    index = tantivy.Index(schema, str(tmp_path))
    writer = index.writer(15_000_000, 1)
    for key in ("a", "b", "c"):
        writer.add_document(tantivy.Document(key=key))
    writer.commit()
    writer.delete_documents_by_term("key", "b")
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return index


def test_a_damaged_byte_is_found_in_each_file(index: tantivy.Index, tmp_path: Path) -> None:
    assert first_damaged(tmp_path) == "", f"{CHANGED} files of an index"
    files = [path for path in tmp_path.iterdir() if path.suffix in (".store", ".term", ".idx", ".del")]
    assert {path.suffix for path in files} == {".store", ".term", ".idx", ".del"}, f"{CHANGED} files of an index"
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert first_damaged(tmp_path) == path.name, f"{CHANGED} the footer of {path.suffix}"
        path.write_bytes(whole)


def test_a_panic_is_known(index: tantivy.Index) -> None:
    with pytest.raises(BaseException) as caught:
        index.searcher().doc(tantivy.DocAddress(9, 9))
    assert is_panic(caught.value) and not is_panic(ValueError()), f"{CHANGED} panics: {caught.value!r}"
