"""Make a small cross-encoder out of a BERT-like encoder and the train queries of collections.

For `second_stages.py` where no published cross-encoder is at hand. Each step takes a few queries,
for each a relevant text and texts that BM25 ranks high and nobody judged relevant, and lowers the
cross-entropy of choosing the relevant one (Nogueira and Cho 2019, arXiv:1901.04085, train on pairs
with a binary loss instead). Nothing is tuned; test queries are not looked at.

    python benchmarks/train_cross_encoder.py COLLECTION... --model FOLDER --to FOLDER
        [--seconds 900] [--queries 4] [--negatives 7] [--tokens 128] [--learning-rate 5e-5]
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from quality import Collection, rank_words, read_collection
from transformers import AutoModelForSequenceClassification, AutoTokenizer

SEED = 0
WARM_SHARE = 0.05
REPORT_EVERY = 25
TOP = 30
"""Negatives are drawn from so many of the best by BM25."""


@dataclass(frozen=True)
class Choice:
    """A query, a text that answers it, and texts that should not."""

    query: str
    relevant: list[str]
    others: list[str]


def main() -> None:
    """Train for a while and save."""
    options = parse()
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    choices = [
        choice for path in options.collections for choice in choices_of(read_collection(path))
    ]
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=1)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    began, step, losses = perf_counter(), 0, list[float]()
    for batch in batches(choices, rng=rng, count=options.queries):
        done = (perf_counter() - began) / options.seconds
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * min(done / WARM_SHARE, (1 - done) / 0.95)
        pairs = [
            pair for choice in batch for pair in drawn(choice, rng=rng, count=options.negatives)
        ]
        read = tokenizer(
            [query for query, _ in pairs],
            [text for _, text in pairs],
            truncation="longest_first",
            max_length=options.tokens,
            padding=True,
            return_tensors="pt",
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(**read).logits
        scores = logits.float().view(len(batch), 1 + options.negatives)  # [Q, 1 + N]
        first = torch.zeros(len(batch), dtype=torch.long)
        loss = torch.nn.functional.cross_entropy(scores, first)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        step += 1
        if step % REPORT_EVERY == 0:
            line = {"step": step, "done": round(done, 2), "loss": np.mean(losses[-REPORT_EVERY:])}
            print(json.dumps(line), flush=True)
    model.save_pretrained(options.to)
    tokenizer.save_pretrained(options.to)
    print(json.dumps({"queries": len(choices), "steps": step}))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--negatives", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    return parser.parse_args()


def choices_of(collection: Collection) -> Iterator[Choice]:
    """Give the train queries that have a relevant text, and others that BM25 found."""
    texts = dict(zip(collection.ids, collection.texts, strict=True))
    found = rank_words(collection)["train"]
    for (id_, query), ranking in zip(collection.train.queries.items(), found, strict=True):
        grades = collection.train.grades[id_]
        relevant = [texts[one] for one, grade in grades.items() if grade > 0 and one in texts]
        others = [texts[one] for one, _ in ranking[:TOP] if grades.get(one, 0) <= 0]
        if relevant and others:
            yield Choice(query, relevant, others)


def batches(
    choices: list[Choice], *, rng: np.random.Generator, count: int
) -> Iterator[list[Choice]]:
    """Give a few at a time, in a new order each time round, without end."""
    while True:
        order = rng.permutation(len(choices))
        for start in range(0, len(order) - count + 1, count):
            yield [choices[place] for place in order[start : start + count]]


def drawn(choice: Choice, *, rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Give the query with one relevant text, which is first, and with `count` others."""
    relevant = choice.relevant[int(rng.integers(len(choice.relevant)))]
    replace = len(choice.others) < count
    others = rng.choice(len(choice.others), size=count, replace=replace)
    return [(choice.query, relevant), *((choice.query, choice.others[place]) for place in others)]


if __name__ == "__main__":
    main()
