"""Stage MNTP: predict each hidden token from the position before it, with all others in sight.

Shapes: B batch · T tokens · N tokens to predict.
Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from adapters_training.errors import TrainingError
from adapters_training.processes import ALONE, Processes
from adapters_training.randomness import derive_seed
from adapters_training.settings.run import MntpSettings
from adapters_training.stages.gradient_cache import Precision
from adapters_training.stages.losses import mntp_loss
from adapters_training.stages.masking import MaskedTokens, mask_tokens
from adapters_training.stages.ordering import BatchOrder
from adapters_training.stages.protocol import StepLoss
from adapters_training.text.examples import Tokens
from adapters_training.torch_randomness import torch_generator
from encoder.batching import pad


@dataclass(frozen=True, slots=True)
class MntpPart:
    """Sequences of one step that are in memory together."""

    masked: MaskedTokens
    attention_mask: Tensor | None
    """``[B, T]`` bool; None where nothing is padded."""

    weight: float
    """Share of the step's hidden tokens that are here."""

    tokens: int


class MntpStage:
    """Blocks of tokens, some of them hidden."""

    def __init__(
        self,
        blocks: Sequence[Tokens],
        tokenizer: PreTrainedTokenizerFast,
        *,
        settings: MntpSettings,
        seed: int,
        vocabulary: int,
    ) -> None:
        """Take the blocks and the tokens they are made of.

        Args:
            blocks: From `examples.mntp_blocks`.
            tokenizer: Of the model.
            settings: Of the stage.
            seed: Of the stage.
            vocabulary: Ids the model knows, counted from 0.

        Raises:
            TrainingError: the mask token is not one token.
        """
        self._blocks = blocks
        self._settings = settings
        self._seed = seed
        self._pad_id: int = tokenizer.pad_token_id
        self._mask_id = mask_token_id(tokenizer, settings.mask_token)
        self._special = torch.tensor(sorted(tokenizer.all_special_ids))
        every = torch.arange(min(len(tokenizer), vocabulary))
        self._replacements = every[~torch.isin(every, self._special)]
        self._order = BatchOrder(
            [len(block) for block in blocks], batch_size=settings.batch_size, seed=self._seed
        )

    def parts(self, step: int) -> list[MntpPart]:
        """Make the batch of a step, in parts of ``micro_batch_size`` blocks."""
        masked, present = self._mask(step)
        total = int(masked.selected.sum())
        size = self._settings.micro_batch_size
        parts = []
        for start in range(0, len(present), size):
            rows, mask = masked.rows(start, start + size), present[start : start + size]
            parts.append(
                MntpPart(
                    masked=rows,
                    attention_mask=None if mask.all() else mask,
                    weight=int(rows.selected.sum()) / total,
                    tokens=int(mask.sum()),
                )
            )
        return parts

    def tokens(self, step: int) -> int:
        """Count the tokens of a step's blocks."""
        return sum(len(self._blocks[i]) for i in self._order.batch(step))

    def backward(
        self,
        model: nn.Module,
        step: int,
        *,
        precision: Precision,
        processes: Processes = ALONE,
    ) -> StepLoss:
        """Add the gradient of this process's parts of a step, one by one."""
        own, parts = 0.0, self.parts(step)
        for turn in processes.turns(len(parts)):
            part = parts[turn.number]
            torch.manual_seed(derive_seed(self._seed, "dropout", step, turn.number))
            with precision():
                loss = self.loss(model, part) * (0.0 if turn.spare else part.weight)
            loss.backward()  # type: ignore[no-untyped-call]
            own += float(loss.detach())
        return StepLoss(loss=processes.add_up(own), tokens=sum(part.tokens for part in parts))

    def loss(self, model: nn.Module, part: MntpPart) -> Tensor:
        """Compute the mean cross-entropy of a part's hidden tokens, ``[]`` in nats."""
        device = next(model.parameters()).device
        mask = part.attention_mask
        return mntp_loss(
            model,
            part.masked.input_ids.to(device),
            None if mask is None else mask.to(device),
            selected=part.masked.selected.to(device),
            labels=part.masked.labels.to(device),
        )

    def _mask(self, step: int) -> tuple[MaskedTokens, Tensor]:
        """Hide tokens of a step's blocks; also tells ``[B, T]`` which are no padding."""
        blocks = [self._blocks[i].tolist() for i in self._order.batch(step)]
        padded, present = pad(blocks, fill=self._pad_id)
        ids, mask = torch.from_numpy(padded), torch.from_numpy(present)
        masked = mask_tokens(
            ids,
            mask & ~torch.isin(ids, self._special),
            probability=self._settings.mask_probability,
            masking=self._settings.masking,
            mask_id=self._mask_id,
            replacement_ids=self._replacements,
            generator=torch_generator(self._seed, "mask", step),
        )
        return masked, mask


def mask_token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Look up the one token that stands for a hidden one.

    Raises:
        TrainingError: it is no token, or several.
    """
    vocabulary = tokenizer.get_vocab()
    if token in vocabulary:
        return int(vocabulary[token])
    ids = tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise TrainingError(
            "`mask_token` must be one token of the model's vocabulary; "
            f"{token!r} is {len(ids)} tokens\n"
            "hint: choose a rare token that the vocabulary has, for example its end-of-text token"
        )
    return int(ids[0])
