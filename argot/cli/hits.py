"""Hits as JSON and as text."""

import textwrap
from typing import Any

from retriever.results import Hit, Passage

SHOWN = 240
"""Characters of a hit's text, and of what stands around it."""


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit as the JSON output has it; what was not asked for is left out."""
    around = {
        "before": [_passage_json(passage) for passage in hit.before],
        "after": [_passage_json(passage) for passage in hit.after],
        "section": hit.section and _passage_json(hit.section),
        "index": hit.index,
    }
    return {
        "id": hit.id,
        "source": hit.source,
        "document_id": hit.document_id,
        "score": hit.score,
        "text": hit.text,
        "title": hit.title,
        "uri": hit.uri,
        "page": hit.page,
        "span": list(hit.span),
        "heading_path": list(hit.heading_path),
        "metadata": dict(hit.metadata),
        "explanation": dict(hit.explanation),
        **{name: value for name, value in around.items() if value},
    }


def describe(number: int, hit: Hit, *, explain: bool) -> str:
    """A hit as a person reads it."""
    page = f", page {hit.page}" if hit.page else ""
    index = f"{hit.index}: " if hit.index else ""
    lines = [
        f"{number}. {place_of(hit)}  ({index}{hit.document_id}{page})  {hit.score:.4f}",
        *(f"   … {_short(passage.text)}" for passage in hit.before),
        f"   {_short(hit.text)}",
        *(f"   … {_short(passage.text)}" for passage in hit.after),
    ]
    if hit.section:
        lines.append(textwrap.indent(hit.section.text, "   | "))
    if explain:
        lines += [f"   {line}" for line in why(hit)]
    return "\n".join(lines)


def place_of(hit: Hit) -> str:
    """Say in one line where a hit stands."""
    place = " > ".join(dict.fromkeys([hit.title or hit.document_id, *hit.heading_path]))
    return " ".join(place.split())


def why(hit: Hit) -> list[str]:
    """Say how a hit was found, a line for each thing that had a part in it."""
    given = hit.explanation
    lines = [
        _sides(hit),
        _fusion(given.get("fusion")),
        _expansion(given.get("expansion")),
        _step(given.get("rerank"), "reranked by {name}: {score:.3f}, rank {before} to {after}"),
        _step(given.get("mmr"), "mmr {lambda:g}: value {value:.3f}, rank {before} before"),
        _indexes(given.get("federation")),
        _step(given.get("filter"), "filter: {}", whole=True),
    ]
    return [line for line in lines if line]


def _sides(hit: Hit) -> str:
    parts = []
    if hit.dense:
        small = hit.explanation["dense"].get("rescored") is False
        scored = "score of codes or small vectors" if small else "cosine"
        parts.append(f"dense rank {hit.dense.rank}, {scored} {hit.dense.score:.3f}")
    if hit.sparse:
        terms = ", ".join(hit.sparse.terms)
        parts.append(f"sparse rank {hit.sparse.rank}, BM25 {hit.sparse.score:.2f} ({terms})")
    return "; ".join(parts)


def _fusion(step: dict[str, Any] | None) -> str:
    if step is None:
        return ""
    shares = ", ".join(f"{share:.0%} {side}" for side, share in step["shares"].items())
    return f"{step['method']} {step['score']:.4f}: {shares}"


def _expansion(step: dict[str, Any] | None) -> str:
    if step is None:
        return ""
    found = "; ".join(repr(query["query"]) for query in step["queries"])
    passages = f", {len(step['passages'])} passages" if step["passages"] else ""
    return f"expanded by {step['name']}{passages}; found by {found or 'no other wording'}"


def _indexes(step: dict[str, Any] | None) -> str:
    if step is None:
        return ""
    places = "; ".join(f"{one['index']} rank {one['rank']}" for one in step["indexes"])
    return f"found in {places}"


def _step(step: dict[str, Any] | None, form: str, *, whole: bool = False) -> str:
    if step is None:
        return ""
    return form.format(step) if whole else form.format(**step)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f"{line[:SHOWN]}…" if len(line) > SHOWN else line


def _passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "text": passage.text,
        "page": passage.page,
        "span": list(passage.span),
        "heading_path": list(passage.heading_path),
    }
