"""argot.toml and the environment: what is wrong is named, with what to do."""

from pathlib import Path

import pytest

from argot.errors import NoProjectError, SettingsError
from argot.settings import load_settings


def load(folder: Path, text: str, **environment: str):
    (folder / "argot.toml").write_text(text, encoding="utf-8")
    return load_settings(folder, environment=environment)


def test_an_empty_file_gives_the_defaults(tmp_path: Path):
    settings = load(tmp_path, "")
    assert settings.search.k == 10
    assert settings.encoder.model == ""
    assert settings.sources == ()


def test_a_folder_without_argot_toml_is_no_project(tmp_path: Path):
    with pytest.raises(NoProjectError, match="argot init"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[serch]\nk = 5", "did you mean `search`"),
        ("[search]\nkk = 5", "did you mean `k`"),
        ("[search]\nk = 'five'", r"\[search\] k must be a whole number; got 'five'"),
        ("[search]\nk = true", "must be a whole number; got True"),
        ("[search]\nk = 0", "`k` must be a whole number >= 1"),
        ("[search]\nmode = 'fuzzy'", "'dense' or 'sparse' or 'hybrid'"),
        ("[chunks]\nchunk_tokens = 3", "at least 32"),
        ("[index]\nmax_delete_fraction = 2", r"\[0, 1\]"),
        ("search = 3", r"must be a table `\[search\]`"),
        ("[sources]\nname = 'x'", r"a list of tables `\[\[sources\]\]`"),
        ("[[sources]]\npath = 'x'", "needs `name`"),
        ("[[sources]]\nname = 'a'\npath = 'x'\nprotected = 'yes'", "true or false"),
        ("[[sources]]\nname = 'a'\npath = 'x'\n[[sources]]\nname = 'a'\npath = 'y'", "unique"),
        ("[search\nk = 5", "argot.toml"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str):
    with pytest.raises(SettingsError, match=says):
        load(tmp_path, text)


def test_a_variable_overrides_the_file(tmp_path: Path):
    text = "[search]\nk = 3\n[encoder]\nmodel = 'a'"
    settings = load(tmp_path, text, ARGOT_SEARCH__K="7", ARGOT_ENCODER__MODEL="models/b", HOME="/")
    assert settings.search.k == 7
    assert settings.encoder.model == "models/b"


def test_a_variable_reaches_a_nested_table(tmp_path: Path):
    settings = load(tmp_path, "[adapt]\nseed = 1", ARGOT_ADAPT__SEED="2", ARGOT_ADAPT__DTYPE="auto")
    assert settings.adapt == {"seed": 2, "dtype": "auto"}


def test_a_variable_with_an_unknown_name_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="did you mean `search`"):
        load(tmp_path, "", ARGOT_SEARCHS__K="7")
    with pytest.raises(SettingsError, match="did you mean `depth`"):
        load(tmp_path, "", ARGOT_SEARCH__DEPHT="7")


def test_source_paths_start_at_the_project(tmp_path: Path):
    settings = load(tmp_path, "[[sources]]\nname = 'a'\npath = 'docs'\ninclude = ['*.md']")
    assert settings.sources[0].path == tmp_path / "docs"
    assert settings.sources[0].options == {"include": ["*.md"]}
