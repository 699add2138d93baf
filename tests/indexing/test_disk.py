"""A write is refused while there is still room."""

from pathlib import Path

import pytest

from indexing.errors import DiskFullError
from indexing.files.disk import MEBIBYTE, DiskGuard, allocated_bytes, free_bytes


def test_too_little_space_is_refused_with_what_is_needed_and_what_is_there(tmp_path: Path):
    guard = DiskGuard(tmp_path, reserve_bytes=100 * MEBIBYTE, measure=lambda _: 120 * MEBIBYTE)
    guard.require(20 * MEBIBYTE, purpose="write 5 points")
    with pytest.raises(DiskFullError) as refused:
        guard.require(20 * MEBIBYTE + 1, purpose="write 5 points")
    message = str(refused.value)
    assert message.startswith(f"to write 5 points, 120.0 MiB must be free in {tmp_path}; got 120.0")
    assert "hint: free some space" in message


def test_what_adds_nothing_may_use_the_reserve_down_to_a_quarter(tmp_path: Path):
    free = [25 * MEBIBYTE]
    guard = DiskGuard(tmp_path, reserve_bytes=100 * MEBIBYTE, measure=lambda _: free[0])
    guard.require_margin(purpose="flush")
    free[0] -= 1
    with pytest.raises(DiskFullError, match="to flush"):
        guard.require_margin(purpose="flush")


def test_holes_in_files_take_no_space(tmp_path: Path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").write_bytes(b"x" * MEBIBYTE)
    assert MEBIBYTE <= allocated_bytes(tmp_path) < 2 * MEBIBYTE


def test_free_space_is_measured_on_the_disk_of_the_folder(tmp_path: Path):
    assert free_bytes(tmp_path) > 0
