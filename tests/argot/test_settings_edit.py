"""Changing values of argot.toml without touching what a person wrote around them."""

import tomllib
from pathlib import Path

import pytest

from argot.errors import SettingsError
from argot.settings_edit import edit_table, with_values
from argot.starter import write_project

TEXT = """\
# top
[index]   # the index
  storage = "f16"   # half
# dimensions = 256  # keep that many
language = "none"

[search]
k = 5
"""


def test_values_are_replaced_added_and_commented_out_in_place():
    changed = with_values(TEXT, "index", {"storage": "turbo8", "dimensions": 144, "language": None})
    assert (
        changed
        == """\
# top
[index]   # the index
  storage = "turbo8"   # half
# dimensions = 256  # keep that many
dimensions = 144
# language = "none"

[search]
k = 5
"""
    )


def test_a_value_is_set_again_and_taken_back():
    once = with_values(TEXT, "index", {"dimensions": 144})
    assert with_values(once, "index", {"dimensions": 144}) == once
    back = with_values(once, "index", {"dimensions": None})
    assert tomllib.loads(back) == tomllib.loads(TEXT)
    again = with_values(back, "index", {"dimensions": 72})
    assert tomllib.loads(again)["index"]["dimensions"] == 72


def test_a_table_that_is_not_there_is_added():
    assert with_values("[search]\nk = 5", "index", {"dimensions": 8}) == (
        "[search]\nk = 5\n\n[index]\ndimensions = 8\n"
    )


def test_a_new_project_is_edited_under_its_own_comments(tmp_path: Path):
    path = write_project(tmp_path)
    before = path.read_text()
    path.chmod(0o640)
    edit_table(path, "index", {"projection": "pca", "dimensions": 144, "two_stage": None})
    assert tomllib.loads(path.read_text())["index"] == {"projection": "pca", "dimensions": 144}
    assert [line for line in path.read_text().splitlines() if line not in before.splitlines()] == [
        "dimensions = 144",
        'projection = "pca"',
    ]
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "text",
    ["index = { dimensions = 8 }\n", "index.dimensions = 8\n", "[index]\n'dimensions' = 8\n"],
)
def test_a_file_of_another_form_is_left_alone_and_the_lines_are_said(tmp_path: Path, text: str):
    path = tmp_path / "argot.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"(?s)one a line.*hint: .*  dimensions = 144"):
        edit_table(path, "index", {"dimensions": 144})
    assert path.read_text() == text
