"""Stage SimCSE: two dropout views of one text find each other among the other texts of the batch.

Shapes: B texts · T tokens · D width.
Source: Gao et al. 2021, SimCSE, arXiv:2104.08821; attention dropout 0.3 and mean pooling are
LLM2Vec's, arXiv:2404.05961. We pool what the encoder pools: LLM2Vec's code averages padding too in
this stage.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from adapters_training.processes import ALONE, Processes
from adapters_training.randomness import derive_seed
from adapters_training.settings.run import SimcseSettings
from adapters_training.stages.gradient_cache import Precision, backward_over_chunks
from adapters_training.stages.losses import info_nce
from adapters_training.stages.ordering import BatchOrder
from adapters_training.stages.protocol import StepLoss
from adapters_training.text.chunks import TextChunk, chunk_texts, device_of, encode_chunk
from encoder.instructions import TokenizedText, tokenize


class SimcseStage:
    """Short texts, each read twice."""

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        *,
        settings: SimcseSettings,
        seed: int,
    ) -> None:
        """Tokenise the texts as the encoder does.

        Args:
            texts: From `examples.simcse_texts`, all different.
            tokenizer: Of the model.
            settings: Of the stage.
            seed: Of the stage.
        """
        self._settings = settings
        self._seed = seed
        self._pad_id: int = tokenizer.pad_token_id
        self._rows = tokenize(
            tokenizer, texts, instruction=settings.instruction, max_tokens=settings.max_tokens
        )
        self._order = BatchOrder(
            [len(row.ids) for row in self._rows],
            batch_size=settings.batch_size,
            seed=seed,
            like_lengths=True,
        )

    def rows(self, step: int) -> list[TokenizedText]:
        """Name the texts of a step, B of them."""
        return [self._rows[i] for i in self._order.batch(step)]

    def tokens(self, step: int) -> int:
        """Count the tokens of a step's texts, each read twice."""
        return 2 * sum(len(row.ids) for row in self.rows(step))

    def backward(
        self,
        model: nn.Module,
        step: int,
        *,
        precision: Precision,
        processes: Processes = ALONE,
    ) -> StepLoss:
        """Add this process's share of the gradient: each first view is to find its second one."""
        rows = self.rows(step)
        twice = [*rows, *rows]

        def encode(chunk: TextChunk) -> Tensor:
            return encode_chunk(model, chunk, pooling=self._settings.pooling)

        def loss_of(vectors: Tensor) -> Tensor:
            first, second = vectors.chunk(2)
            return info_nce(first, second, temperature=self._settings.temperature)

        loss = backward_over_chunks(
            chunk_texts(twice, pad_id=self._pad_id, device=device_of(model)),
            encode=encode,
            loss_of=loss_of,
            seed=derive_seed(self._seed, "dropout", step),
            precision=precision,
            memory_tokens=self._settings.memory_tokens,
            processes=processes,
        )
        return StepLoss(loss=loss, tokens=sum(len(row.ids) for row in twice))
