"""argot.toml and the environment: what is wrong is named, with what to do."""

from pathlib import Path

import pytest

from argot.errors import NoProjectError, SettingsError
from argot.settings import load_settings
from indexing.stores.server_settings import ServerSettings


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
        ("[index]\nurll = 'x'", "did you mean `url`"),
        ("[index]\nurl = 'qdrant:6333'", r"\[index\]: `url` must be http:// or https://"),
        ("[index]\nurl = 'https://qdrant:port'", "a host, and a port"),
        ("[index]\nurl = 'https://qdrant?x=1'", "a host, and a port"),
        ("[index]\ncollection_prefix = 'a/b'", "`collection_prefix` must be 1 to 64 letters"),
        ("[index]\ntimeout_seconds = 0", "`timeout_seconds` must be at least 1; got 0"),
        ("[index]\nshard_number = 0", "`shard_number` must be at least 1"),
        (
            "[index]\nreplication_factor = 1\nwrite_consistency_factor = 2",
            "`write_consistency_factor` must be at most `replication_factor`; got 2 of 1",
        ),
        ("[index]\ntenant_field = 'a b'", "payload field such as metadata.customer"),
        ("[index]\nca_file = 'certs/ca.pem'", "`ca_file` must be a PEM file; there is none at /"),
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


def test_where_the_index_is_is_read_apart_from_what_it_holds(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    text = "[index]\ndimensions = 64\nurl = 'https://qdrant:6333'\nca_file = 'ca.pem'\n"
    settings = load(tmp_path, text, ARGOT_INDEX__API_KEY="0123456789")
    assert settings.index.dimensions == 64
    assert settings.server.url == "https://qdrant:6333"
    assert settings.server.api_key == "0123456789", "text, though it looks like a number"
    assert settings.server.ca_file == str(tmp_path / "ca.pem")
    assert settings.server.collection_of("docs-0001-words") == "argot-docs-0001-words"


def test_a_key_and_a_password_are_never_shown(tmp_path: Path):
    settings = load(tmp_path, "", ARGOT_INDEX__API_KEY="12345")
    assert settings.server.api_key == "12345"
    assert "12345" not in repr(settings)
    for text in ("api_key = 12345", "url = 'https://me:12345@qdrant'", "url = 'http://a:12/345@q'"):
        with pytest.raises(SettingsError) as refusal:
            load(tmp_path, f"[index]\n{text}")
        assert "345" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://qdrant:6333", True),
        ("http://10.0.0.7:6333", True),
        ("https://qdrant:6333", False),
        ("http://127.0.0.2:6333", False),
        ("http://[::1]:6333", False),
        ("http://localhost", False),
    ],
)
def test_a_key_in_clear_is_known_by_its_way(url: str, clear: bool):
    assert ServerSettings(url=url, api_key="k").sends_key_in_clear is clear
    assert not ServerSettings(url=url).sends_key_in_clear
