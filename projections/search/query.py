"""Queries to a tantivy index: its schema and words, and how a `SearchQuery` is executed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tantivy
from tantivy import Filter, Occur, Query, TextAnalyzerBuilder, Tokenizer

from pcloud.errors import Rejected
from pcloud.subject import Ref
from projections.search.contract import FacetCount, Hit, Range, SearchQuery, SearchResult
from projections.search.document import rank
from projections.search.searched_fields import Searched, SearchedType, base_field, index_key

__all__ = ["Asker", "make_index", "make_schema"]

MOST_WORDS = 16
MOST_TEXT = 1000  # characters
DEEPEST = 10_000  # hits
MOST_VALUES = 200  # counted for a facet
_LEAST, _MOST = -(2**63), 2**63 - 1
TYPO_FROM = 5  # letters


def make_index(folder: Path) -> tantivy.Index:
    """The index in `folder`, created if it does not exist; raises ValueError as tantivy does."""
    index = tantivy.Index(make_schema(), str(folder))
    index.register_tokenizer("words", _words())
    index.config_reader("manual")
    return index


def make_schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("key", stored=True, fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("type", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("related", tokenizer_name="raw", index_option="basic")
    builder.add_json_field("text", tokenizer_name="words", index_option="freq")
    builder.add_json_field("facet", fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_json_field("number", fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("meta", stored=True)
    return builder.build()


def _words() -> tantivy.TextAnalyzer:
    """A word consists of letters and digits; case and accents don't count."""
    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(100))
    return builder.filter(Filter.lowercase()).filter(Filter.ascii_fold()).build()


class Asker:
    """Queries the last commit that it was refreshed to."""

    def __init__(self, index: tantivy.Index) -> None:
        self._index, self._schema = index, index.schema
        self._analyzer = _words()
        self.refresh()

    def refresh(self) -> None:
        self._searcher = self._index.searcher()

    def meta(self, key: str) -> bytes | None:
        hits = self._searcher.search(Query.term_query(self._schema, "key", key), limit=1).hits
        body: Any = self._searcher.doc(hits[0][1]).get_first("meta") if hits else None
        return None if body is None else bytes(body)

    def holders(self, keys: Sequence[str]) -> list[str]:
        """The keys of documents that hold values of any of these entities."""
        searcher, query = self._searcher, Query.term_set_query(self._schema, "related", list(keys))
        count = _total(searcher.search(query, limit=1))
        hits = searcher.search(query, limit=count, count=False).hits if count else []
        return [_key(searcher, address) for _, address in hits]

    def ask(self, query: SearchQuery, searched_types: Mapping[str, SearchedType]) -> SearchResult:
        allowed = {
            type_: {path: one for path, one in searched_types[type_].fields.items() if path in fields}
            for type_, fields in query.types.items()
            if type_ in searched_types
        }
        _check(query)
        searcher = self._searcher
        asked = self._query(query, allowed)
        total = _total(searcher.search(asked, limit=1))
        rank = self._ordered if query.order else self._ranked
        hits = rank(searcher, asked, query, allowed)
        return SearchResult(total, hits, {name: self._count(searcher, asked, name, allowed) for name in query.count})

    # --- what matches ------------------------------------------------------------------------------------------------------------

    def _query(self, query: SearchQuery, allowed: Mapping[str, Mapping[str, Searched]]) -> Query:
        words = self._analyzer.analyze(query.text)
        if len(words) > MOST_WORDS:
            raise Rejected(f"a search may have at most {MOST_WORDS} words, this has {len(words)}")
        per_type: list[tuple[Occur, Query]] = []
        narrowed = {*query.facets, *query.ranges}
        for name in narrowed:
            _require(name, query.types)
        for type_, fields in allowed.items():
            must = [Query.const_score_query(Query.term_query(self._schema, "type", type_), 0.0)]
            texts = [index_key(type_, path) for path, one in fields.items() if one.text]
            for index, word in enumerate(words):
                must.append(self._word(word, texts, last=index == len(words) - 1))
            for name, values in query.facets.items():
                must.append(self._facet(type_, name, values, fields))
            for name, range_ in query.ranges.items():
                must.append(self._range(type_, name, range_, fields))
            per_type.append((Occur.Should, Query.boolean_query([(Occur.Must, one) for one in must])))
        return Query.boolean_query(per_type) if per_type else Query.empty_query()

    def _word(self, word: str, keys: Sequence[str], *, last: bool) -> Query:
        """Scored only by where and how well it matches: its rarity and the document's length would reveal what others
        wrote."""
        if not keys:
            return Query.empty_query()
        forms: list[Query] = []
        for key in keys:
            field = f"text.{key}"
            forms.append(Query.const_score_query(Query.term_query(self._schema, field, word), 2.0))
            if last:
                begins = Query.fuzzy_term_query(self._schema, field, word, distance=0, prefix=True)
                forms.append(Query.const_score_query(begins, 0.5))
            if len(word) >= TYPO_FROM:
                typo = Query.fuzzy_term_query(self._schema, field, word, distance=1, prefix=last)
                forms.append(Query.const_score_query(typo, 0.2))
        return Query.boolean_query([(Occur.Should, form) for form in forms])

    def _facet(self, type_: str, name: str, values: Sequence[str], fields: Mapping[str, Searched]) -> Query:
        if not _has_facet(name, fields):
            return Query.empty_query()
        field = f"facet.{index_key(type_, name)}"
        terms = [Query.term_query(self._schema, field, value) for value in values]
        return Query.const_score_query(Query.boolean_query([(Occur.Should, term) for term in terms]), 0.0)

    def _range(self, type_: str, name: str, range_: Range, fields: Mapping[str, Searched]) -> Query:
        one = fields.get(name)
        if one is None or not one.number:
            return Query.empty_query()
        low, high = _bound(one, range_.low, _LEAST, math.ceil), _bound(one, range_.high, _MOST, math.floor)
        text = f"number.{index_key(type_, name)}:[{low} TO {high}]"
        return Query.const_score_query(self._index.parse_query(text), 0.0)

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _ranked(
        self, searcher: tantivy.Searcher, asked: Query, query: SearchQuery, _: Mapping[str, Mapping[str, Searched]]
    ) -> list[Hit]:
        """Best first. Equal ones are ordered by their keys: their position in the index depends on what others
        wrote."""
        found = searcher.search(asked, limit=DEEPEST, count=False).hits
        scored = [(round(float(score), 3), at) for score, at in found]
        end = min(query.offset + query.first, len(scored))
        if query.offset >= end:
            return []
        best, worst = scored[query.offset][0], scored[end - 1][0]
        above = sum(score > best for score, _ in scored)
        equals = [(-score, _key(searcher, at)) for score, at in scored if best >= score >= worst]
        return [Hit(_ref(key), -score) for score, key in sorted(equals)[query.offset - above : end - above]]

    def _ordered(
        self,
        searcher: tantivy.Searcher,
        asked: Query,
        query: SearchQuery,
        allowed: Mapping[str, Mapping[str, Searched]],
    ) -> list[Hit]:
        """Newest or largest first, those without a value last."""
        _require(query.order, query.types)
        found: list[tuple[int | None, str]] = []
        for type_, fields in allowed.items():
            one = fields.get(query.order)
            # Only `key` may be read back: tantivy panics for a field without a value in a segment. `sort` holds the
            # value as an integer with the same order.
            best = {
                "size": max(1, query.offset + query.first),
                "sort": [{f"number.{index_key(type_, query.order if one and one.number else '')}": "desc"}],
                "docvalue_fields": ["key"],
            }
            of_type = Query.boolean_query(
                [(Occur.Must, asked), (Occur.Must, Query.term_query(self._schema, "type", type_))]
            )
            answer = _aggregate(searcher, of_type, {"best": {"top_hits": best}})
            hits: list[dict[str, Any]] = answer["best"]["hits"]
            found += [(hit["sort"][0], hit["docvalue_fields"]["key"][0]) for hit in hits]
        found.sort(key=lambda hit: (hit[0] is None, -(hit[0] or 0), hit[1]))
        return [Hit(_ref(key), 0.0) for _, key in found[query.offset : query.offset + query.first]]

    def _count(
        self, searcher: tantivy.Searcher, asked: Query, name: str, allowed: Mapping[str, Mapping[str, Searched]]
    ) -> list[FacetCount]:
        """The most frequent values first."""
        counts: dict[str, int] = {}
        for type_, fields in allowed.items():
            if _has_facet(name, fields):
                terms: dict[str, Any] = {"field": f"facet.{index_key(type_, name)}", "size": MOST_VALUES}
                answer = _aggregate(searcher, asked, {"values": {"terms": terms}})
                for bucket in answer["values"]["buckets"]:
                    counts[bucket["key"]] = counts.get(bucket["key"], 0) + int(bucket["doc_count"])
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [FacetCount(value, count) for value, count in ordered[:MOST_VALUES]]


def _aggregate(searcher: tantivy.Searcher, asked: Query, wanted: dict[str, Any]) -> dict[str, Any]:
    return searcher.aggregate(asked, wanted)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _check(query: SearchQuery) -> None:
    if len(query.text) > MOST_TEXT:
        raise Rejected(f"a search text may have at most {MOST_TEXT} characters")
    if query.first < 0 or query.offset < 0 or query.first + query.offset > DEEPEST:
        raise Rejected(f"a search shows hits up to the {DEEPEST}th: narrow it instead")
    for name in query.count:
        _require(name, query.types)
    if sum(len(values) for values in query.facets.values()) > DEEPEST // 10:
        raise Rejected(f"a search may be narrowed to at most {DEEPEST // 10} facet values")


def _require(name: str, types: Mapping[str, frozenset[str]]) -> None:
    if not any(name in fields or base_field(name) in fields for fields in types.values()):
        raise Rejected(f"nothing that is searched here has a field {name!r}")


def _has_facet(name: str, fields: Mapping[str, Searched]) -> bool:
    one = fields.get(name) or fields.get(base_field(name))
    return one is not None and name in one.facet_names


def _bound(one: Searched, value: Any, open_end: int, whole: Callable[[float], int]) -> int:
    if value is None:
        return open_end
    if one.kind == "DateTime":
        return rank(one.kind, value)
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise Rejected(f"{one.path!r}: {value!r} is not a number")
    return max(_LEAST, min(_MOST, rank(one.kind, value if one.kind == "Float" else whole(value))))


def _total(found: Any) -> int:
    return found.count or 0  # missing in tantivy's own type stubs


def _key(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> str:
    return str(searcher.doc(address).get_first("key"))


def _ref(key: str) -> Ref:
    return Ref(*key.split("/"))
