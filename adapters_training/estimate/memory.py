"""The most memory that a stretch of work has held."""

import resource
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"


def forget_peak(device: str) -> None:
    """Let the peak count from now on; where the system does not allow it, it counts from before."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        try:
            CLEAR.write_text(FORGET_PEAK, encoding="ascii")
        except PermissionError:
            return


def peak_bytes(device: str) -> int:
    """Read the peak: of a GPU what torch has taken of it, else what this process had resident."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_reserved(device))
    for line in STATUS.read_text(encoding="utf-8").splitlines() if STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
