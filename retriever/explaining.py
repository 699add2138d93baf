"""Candidates to hits, each with how it was found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from encoder.base import SparseEncoder
from indexing.filters import Condition
from retriever.candidates import Candidate, full_text
from retriever.conditions import condition_json
from retriever.plan import SearchPlan
from retriever.queries import EncodedQuery
from retriever.results import DenseMatch, Hit, SparseMatch
from retriever.surroundings import NOTHING, Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Says of each hit of one query how it was found."""

    query: EncodedQuery
    plan: SearchPlan
    sparse: SparseEncoder
    where: Condition | None
    """The caller's own filter; who asked is not repeated in results."""

    begins_small: bool
    """The index could rescore; a hit then says whether it was done."""

    def hits(
        self, candidates: Sequence[Candidate], around: Mapping[str, Surroundings]
    ) -> Iterator[Hit]:
        """Make hits; `around` has what stands around some of them, by id."""
        terms = self.sparse.terms(self.query.text)
        for candidate in candidates:
            dense = candidate.found.get("dense")
            sparse = candidate.found.get("sparse")
            yield self._hit(
                candidate,
                dense=dense and DenseMatch(*dense),
                sparse=sparse and SparseMatch(*sparse, self._matched(terms, candidate)),
                around=around.get(candidate.id, NOTHING),
            )

    def _matched(self, terms: Mapping[int, str], candidate: Candidate) -> tuple[str, ...]:
        # the distinct terms of a chunk, as of a query: ids alone, so ten times as fast as `terms`
        found = set(self.sparse.encode_queries([full_text(candidate.payload)])[0].indices)
        return tuple(word for term, word in terms.items() if term in found)

    def _hit(
        self,
        candidate: Candidate,
        *,
        dense: DenseMatch | None,
        sparse: SparseMatch | None,
        around: Surroundings,
    ) -> Hit:
        payload = candidate.payload
        return Hit(
            id=candidate.id,
            source=payload["source"],
            document_id=payload["document_id"],
            text=payload["text"],
            score=candidate.score,
            dense=dense,
            sparse=sparse,
            title=payload.get("title", ""),
            uri=payload.get("uri", ""),
            page=payload.get("page"),
            span=(payload.get("start", 0), payload.get("end", 0)),
            heading_path=tuple(payload.get("heading_path", ())),
            before=around.before,
            after=around.after,
            section=around.section,
            metadata=dict(payload.get("metadata", {})),
            explanation={
                "dense": dense and {**asdict(dense), **self._rescored},
                "sparse": sparse and {**asdict(sparse), "terms": list(sparse.terms)},
                "fusion": self._fusion(candidate),
                **self._expansion(candidate),
                "rerank": None,
                **candidate.later,
                "filter": self.where and condition_json(self.where),
            },
        )

    @property
    def _rescored(self) -> dict[str, bool]:
        return {"rescored": self.plan.rescore} if self.begins_small else {}

    def _fusion(self, candidate: Candidate) -> dict[str, Any] | None:
        if candidate.parts is None:
            return None
        plan, score = self.plan, sum(candidate.parts.values())
        shares = dict.fromkeys(("dense", "sparse", "expansion"), 0.0)
        for name, part in candidate.parts.items():
            side = name if name in shares else "expansion"
            shares[side] += part / score if score else 0.0
        asked = ["dense", "sparse"] if plan.mode == "hybrid" else [plan.mode]
        return {
            "method": plan.fusion,
            **({"k": plan.rrf_k} if plan.fusion == "rrf" else {}),
            "weights": plan.weights,
            "score": score,
            "shares": {
                side: shares[side] for side in (*asked, *(["expansion"] * plan.is_expanded))
            },
        }

    def _expansion(self, candidate: Candidate) -> dict[str, Any]:
        """Say which other wordings of the query found it, and where they ranked it."""
        if not self.plan.is_expanded:
            return {}
        found: list[dict[str, Any]] = []
        for number, wording in enumerate(self.query.wordings[1:], start=1):
            ranks = {
                side: {"rank": match[0], "score": match[1]}
                for side in ("dense", "sparse")
                if (match := candidate.found.get(f"{side} {number}"))
            }
            found += [{"query": wording.text, **ranks}] if ranks else []
        passages = list(self.query.passages)
        return {"expansion": {"name": self.plan.expand, "queries": found, "passages": passages}}
