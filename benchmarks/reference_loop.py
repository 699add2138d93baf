"""LLM2Vec's training steps as one would write them with transformers and peft, to compare with.

The model is loaded and adapted as LLM2Vec's scripts do (LoRA on every linear layer, SDPA, bf16
weights under autocast), a batch is padded to its longest text, and AdamW takes the step.
Source: BehnamGhader et al. 2024, arXiv:2404.05961, its repository's `experiments/run_mntp.py` and
`run_supervised.py`; without their trainer, loading and logging.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from torch.nn import functional
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class ReferenceLoop:
    """A model that is trained step by step."""

    def __init__(
        self, base: Path, *, head: bool, dropout: float, learning_rate: float, dtype: torch.dtype
    ) -> None:
        """Load the decoder without a causal mask and put a LoRA adapter of rank 16 on it.

        Args:
            base: Folder of a decoder whose layers have Llama's names.
            head: Whether the tokens are to be predicted.
            dropout: Of the adapter.
            learning_rate: Of AdamW.
            dtype: bfloat16: of the frozen weights, under autocast; or float32.
        """
        loader = AutoModelForCausalLM if head else AutoModel
        model = loader.from_pretrained(base, dtype=dtype, attn_implementation="sdpa")
        model.config.is_causal = False
        config = LoraConfig(r=16, lora_alpha=32, lora_dropout=dropout, target_modules=LAYERS)
        self.model: PeftModel = get_peft_model(model, config).train()
        self._mixed = dtype == torch.bfloat16
        self._tokenizer = AutoTokenizer.from_pretrained(base)
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=learning_rate)

    def mntp_step(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> float:
        """Learn from a batch ``[B, T]``; ``labels`` are -100 where nothing is to be predicted.

        Returns:
            The mean loss of the tokens to predict, in nats.
        """
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._mixed):
            found = self.model(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
        return self._learn(found.loss)

    def contrastive_step(
        self,
        queries: Sequence[str],
        passages: Sequence[str],
        *,
        query_tokens: int,
        passage_tokens: int,
        temperature: float,
    ) -> float:
        """Learn that each query's passage is the one in its place; all others are negatives.

        Returns:
            The mean loss of the queries, in nats.
        """
        asked = self._encode(queries, max_tokens=query_tokens)
        answers = self._encode(passages, max_tokens=passage_tokens)
        scores = asked @ answers.T / temperature
        return self._learn(functional.cross_entropy(scores, torch.arange(len(scores))))

    def _encode(self, texts: Sequence[str], *, max_tokens: int) -> Tensor:
        batch = self._tokenizer(
            list(texts),
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=max_tokens,
            return_tensors="pt",
        )
        mask = batch["attention_mask"]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._mixed):
            states = self.model(input_ids=batch["input_ids"], attention_mask=mask)
        weights = mask[:, :, None].float()
        means = (states.last_hidden_state.float() * weights).sum(1) / weights.sum(1)
        return functional.normalize(means)

    def _learn(self, loss: Tensor) -> float:
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())
