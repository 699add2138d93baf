"""Dropout that is cheap on a CPU: one random byte for each decision, and bits for masks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Of as many bytes as a number."""


class ByteDropout(nn.Module):
    """Dropout that spends one random byte on an element.

    On a CPU the library's dropout takes a quarter of a LoRA step, most of it for random numbers.
    The probability is rounded to a 256th, and up to the first one; the scale follows it, so the
    mean is exact.
    """

    def __init__(self, probability: float) -> None:
        """Take the share of elements to drop, in (0, 1)."""
        super().__init__()
        self.dropped_of_256 = min(max(round(probability * 256), 1), 255)

    @property
    def scale(self) -> float:
        """What the elements that stay are multiplied by."""
        return 256 / (256 - self.dropped_of_256)

    def forward(self, values: Tensor) -> Tensor:
        """Drop elements in training mode; scale the others up."""
        if not self.training:
            return values
        if values.device.type != "cpu":
            return functional.dropout(values, self.dropped_of_256 / 256, training=True)
        keep = random_bytes(values.shape) >= self.dropped_of_256
        return values * keep.to(values.dtype).mul_(self.scale)


def random_bytes(shape: torch.Size) -> Tensor:
    """Draw bytes from torch's global random state, uint8."""
    words = torch.empty((shape.numel() + 7) // 8, dtype=torch.int64)
    words.random_(-(2**63), None)
    return words.view(torch.uint8)[: shape.numel()].view(shape)


def without_dropped(values: Tensor, drawn: Tensor | None, dropped_of_256: int) -> Tensor:
    """Set values to zero where the random byte is below the threshold.

    Comparing into integers and masking the bits is 5 times faster than selecting by a bool.
    """
    if drawn is None:
        return values
    bits = torch.empty(drawn.shape, dtype=INTEGERS[values.itemsize])
    torch.ge(drawn, dropped_of_256, out=bits).neg_()
    return values.view(bits.dtype).bitwise_and(bits).view(values.dtype)
