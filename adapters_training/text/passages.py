"""The passages of a corpus: what queries are written for, and where negatives are looked for."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from adapters_training.text.documents import TrainingText
from adapters_training.text.examples import cut_spans


def cut_passages(
    texts: Sequence[TrainingText], tokenizer: PreTrainedTokenizerFast, *, max_tokens: int
) -> list[str]:
    """Cut texts at sentence ends into passages as an index holds them, each once.

    Args:
        texts: Whole documents, or chunks, which stay whole.
        tokenizer: Of the model.
        max_tokens: Of a passage without what stands over it.

    Returns:
        Passages with the title and headings over them, in order.
    """
    found: dict[str, None] = {}
    for item in texts:
        spans = tokenizer(
            item.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        for first, last in cut_spans(item.text, spans, max_tokens=max_tokens):
            part = item.text[spans[first][0] : spans[last - 1][1]].strip()
            found[item.with_text(part).whole] = None
    return list(found)
