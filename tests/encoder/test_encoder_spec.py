"""encoder.json and the fingerprint, without torch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from encoder.errors import ModelFolderError
from encoder.spec import (
    SPEC_FILE,
    AdapterEntry,
    EncoderSpec,
    EncodingSettings,
    read_spec,
    write_spec,
)

SPEC = EncoderSpec(
    settings=EncodingSettings(query_instruction="Find: ", max_tokens=256),
    dimensions=32,
    model_type="llama",
    base_digest="b" * 64,
    tokenizer_digest="t" * 64,
    form="adapter",
    base_path="../base",
    adapters=(AdapterEntry(name="mntp", digest="a" * 64),),
    lineage={"stages": [{"name": "mntp", "steps": 10}]},
)


def changed(**settings: Any) -> EncoderSpec:
    return dataclasses.replace(SPEC, settings=dataclasses.replace(SPEC.settings, **settings))


def test_a_spec_reads_back_as_it_was_written(tmp_path: Path):
    write_spec(tmp_path, SPEC)
    assert read_spec(tmp_path) == SPEC


@pytest.mark.parametrize(
    "other",
    [
        changed(pooling="last_token"),
        changed(query_instruction=""),
        changed(document_instruction="Read: "),
        changed(max_tokens=128),
        changed(causal=True),
        dataclasses.replace(SPEC, base_digest="c" * 64),
        dataclasses.replace(SPEC, tokenizer_digest="c" * 64),
        dataclasses.replace(SPEC, adapters=()),
        dataclasses.replace(SPEC, adapters=(AdapterEntry(name="mntp", digest="d" * 64),)),
        dataclasses.replace(SPEC, adapters=(*SPEC.adapters, AdapterEntry(name="b", digest="e"))),
    ],
)
def test_whatever_decides_a_vector_changes_the_fingerprint(other: EncoderSpec):
    assert other.fingerprint != SPEC.fingerprint


def test_the_order_of_adapters_changes_the_fingerprint():
    first, second = AdapterEntry(name="a", digest="1"), AdapterEntry(name="b", digest="2")
    one = dataclasses.replace(SPEC, adapters=(first, second))
    other = dataclasses.replace(SPEC, adapters=(second, first))
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "same",
    [
        dataclasses.replace(SPEC, form="merged", base_path="", weights_digest="w" * 64),
        dataclasses.replace(SPEC, lineage={}),
        dataclasses.replace(SPEC, adapters=(AdapterEntry(name="renamed", digest="a" * 64),)),
    ],
)
def test_form_place_and_history_leave_the_fingerprint(same: EncoderSpec):
    assert same.fingerprint == SPEC.fingerprint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dimensions", 16),
        ("base_path", "../elsewhere"),
        ("base_digest", "0" * 64),
        ("fingerprint", "0" * 64),
        ("lineage", {}),
        ("adapters", []),
        ("form", "merged"),
    ],
)
def test_an_encoder_json_changed_by_hand_is_refused(tmp_path: Path, key: str, value: object):
    write_spec(tmp_path, SPEC)
    path = tmp_path / SPEC_FILE
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, key: value}))
    with pytest.raises(ModelFolderError, match=r"its checksum says that it was changed\b"):
        read_spec(tmp_path)


def test_settings_changed_by_hand_are_refused(tmp_path: Path):
    write_spec(tmp_path, SPEC)
    path = tmp_path / SPEC_FILE
    path.write_text(path.read_text().replace('"max_tokens": 256', '"max_tokens": 512'))
    with pytest.raises(ModelFolderError, match="make a new one"):
        read_spec(tmp_path)


def test_layout_changed_by_hand_does_no_harm(tmp_path: Path):
    write_spec(tmp_path, SPEC)
    path = tmp_path / SPEC_FILE
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert read_spec(tmp_path) == SPEC


@pytest.mark.parametrize(
    "content", ["", "not json", "[]", "{}", '"text"', '{"schema_version": 1}', "\x00\xff"]
)
def test_nonsense_is_refused_with_the_path(tmp_path: Path, content: str):
    (tmp_path / SPEC_FILE).write_text(content)
    with pytest.raises(ModelFolderError, match=r"encoder\.json can't be read"):
        read_spec(tmp_path)


def test_a_later_schema_is_refused(tmp_path: Path):
    write_spec(tmp_path, SPEC)
    path = tmp_path / SPEC_FILE
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ModelFolderError, match="must have schema_version 1; got 2"):
        read_spec(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "max"}, "`pooling` must be one of mean, weighted_mean, last_token; got 'max'"),
        ({"max_tokens": 0}, "`max_tokens` must be at least 1; got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        EncodingSettings(**settings)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="`form` must be one of checkpoint, adapter, merged"):
        dataclasses.replace(SPEC, form="compiled")
