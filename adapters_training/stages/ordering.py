"""Which examples a step sees: a function of seed and step, so any step can be run again."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from adapters_training.randomness import derive_seed, numpy_generator

WINDOW_BATCHES = 16


class BatchOrder:
    """Endless shuffled batches over a fixed set of examples."""

    def __init__(
        self, lengths: Sequence[int], *, batch_size: int, seed: int, like_lengths: bool = False
    ) -> None:
        """Describe the examples.

        Args:
            lengths: Tokens of each example, N of them, at least one.
            batch_size: Examples of a step; with fewer than that, all of them are every step's
                batch.
            seed: Decides the order.
            like_lengths: Batch examples of like length, so that little is padding. The examples are
                shuffled, 16 batches at a time are sorted by length, and these batches are shuffled
                again.
        """
        self._lengths = lengths
        self._batch_size = min(batch_size, len(lengths))
        self._seed = seed
        self._like_lengths = like_lengths
        self._epoch = lru_cache(maxsize=1)(self._make_epoch)

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in one pass; what is left over waits for another pass's order."""
        return len(self._lengths) // self._batch_size

    def batch(self, step: int) -> list[int]:
        """Name the examples of a step, by position, each at most once."""
        epoch, place = divmod(step, self.batches_per_epoch)
        return self._epoch(epoch)[place]

    def _make_epoch(self, epoch: int) -> list[list[int]]:
        rng = numpy_generator(self._seed, "order", epoch)
        order = rng.permutation(len(self._lengths)).tolist()
        if self._like_lengths:
            window = WINDOW_BATCHES * self._batch_size
            order = [
                position
                for start in range(0, len(order), window)
                for position in sorted(order[start : start + window], key=self._lengths.__getitem__)
            ]
        size = self._batch_size
        batches = [order[i * size : (i + 1) * size] for i in range(self.batches_per_epoch)]
        return [batches[i] for i in rng.permutation(len(batches))]


class SetOrder:
    """Batches of several sets of examples, each batch from one set."""

    def __init__(self, sets: Sequence[str], *, batch_size: int, exponent: float, seed: int) -> None:
        """Describe the examples.

        Args:
            sets: Name of each example's set.
            batch_size: Examples of a step; a smaller set is its own batch.
            exponent: A step's set is drawn in proportion to its size to this power.
            seed: Decides the order.
        """
        members: dict[str, list[int]] = {}
        for position, name in enumerate(sets):
            members.setdefault(name, []).append(position)
        # A set of one has no negatives in its batch.
        self._members = [found for found in members.values() if len(found) > 1]
        self._orders = [
            BatchOrder([1] * len(found), batch_size=batch_size, seed=derive_seed(seed, "set", name))
            for name, found in members.items()
            if len(found) > 1
        ]
        sizes = np.array([len(found) for found in self._members], dtype=np.float64) ** exponent
        self._shares = sizes / sizes.sum()
        self._seed = seed
        self._uses = [0] * len(self._members)
        self._turns: list[tuple[int, int]] = []

    def batch(self, step: int) -> list[int]:
        """Name the examples of a step, by position, each at most once."""
        while len(self._turns) <= step:
            rng = numpy_generator(self._seed, "sets", len(self._turns))
            chosen = int(rng.choice(len(self._shares), p=self._shares))
            self._turns.append((chosen, self._uses[chosen]))
            self._uses[chosen] += 1
        chosen, use = self._turns[step]
        return [self._members[chosen][i] for i in self._orders[chosen].batch(use)]
