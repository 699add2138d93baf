"""What a search says of itself to whoever traces the program."""

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from retriever.federation import AnySearcher
from retriever.results import Hit


def trace(searcher: AnySearcher, hits: Sequence[Hit]) -> None:
    """Note on the current OpenTelemetry span what was asked and what was found.

    Nothing is imported: where the program does not trace, there is no span. Texts and queries stay
    out of it, since traces are read by others than those who may see the documents.

    Args:
        searcher: What answered.
        hits: Best first.

    Source:
        Attributes ``gen_ai.*`` as in OpenTelemetry's conventions for generative AI, operation
        ``retrieval`` (status: development).
    """
    telemetry: ModuleType | None = sys.modules.get("opentelemetry.trace")
    if telemetry is None:
        return
    span = telemetry.get_current_span()
    if span.is_recording():
        span.set_attributes(attributes_of(searcher, hits))


def attributes_of(searcher: AnySearcher, hits: Sequence[Hit]) -> dict[str, Any]:
    """Name index version and encoder, and the chunks that were found with their scores."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": f"argot/{searcher.version_name}",
        "argot.index.version": searcher.version_name,
        "argot.hits.ids": [hit.id for hit in hits],
        "argot.hits.scores": [hit.score for hit in hits],
    }
    if searcher.encoder_fingerprint is not None:
        attributes["argot.encoder.fingerprint"] = searcher.encoder_fingerprint
    return attributes
