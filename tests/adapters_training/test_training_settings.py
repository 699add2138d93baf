"""Settings: checked when made, equal after a round trip, unknown keys refused."""

import json

import pytest

from adapters_training.run.schedule import learning_rate, stage_progress
from adapters_training.settings.dicts import settings_from_dict, settings_to_dict
from adapters_training.settings.run import (
    AdaptSettings,
    LoraSettings,
    MntpSettings,
    OptimizerSettings,
    SimcseSettings,
)


def test_defaults_are_the_papers_recipe():
    settings = AdaptSettings()
    mntp, simcse = settings.stages
    assert isinstance(mntp, MntpSettings)
    assert isinstance(simcse, SimcseSettings)
    assert (mntp.mask_probability, mntp.masking, mntp.mask_token) == (0.2, "bert", "_")
    assert (mntp.max_tokens, mntp.optimizer.learning_rate) == (512, 5e-5)
    assert (simcse.temperature, simcse.attention_dropout, simcse.max_tokens) == (0.05, 0.3, 128)
    assert (mntp.lora.rank, mntp.lora.alpha, mntp.lora.dropout) == (16, 32, 0.05)


def test_settings_survive_json():
    settings = AdaptSettings(
        stages=(
            SimcseSettings(steps=7, lora=LoraSettings(targets=("q_proj", "v_proj"))),
            MntpSettings(time_budget_seconds=9.5, optimizer=OptimizerSettings(warmup_steps=3)),
        ),
        seed=5,
    )
    assert settings_from_dict(json.loads(json.dumps(settings_to_dict(settings)))) == settings


def test_a_stage_may_be_named_by_its_kind_alone():
    assert settings_from_dict({"stages": ["simcse"]}).stages == (SimcseSettings(),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "did you mean 'seed'"),
        ({"stages": [{"kind": "mntp", "mask_probabilty": 0.3}]}, "did you mean 'mask_probability'"),
        (
            {"stages": [{"kind": "mntp", "lora": {"rnak": 4}}]},
            r"adapt\.stages\[0\]\.lora` has no setting 'rnak'",
        ),
        ({"stages": ["simsce"]}, "did you mean 'simcse'"),
        ({"stages": [{"steps": 5}]}, "must be a table with `kind`"),
        ({"stages": "mntp"}, "must be a list of tables"),
        ({"seed": "1"}, "`adapt.seed` must be int; got '1'"),
        ({"seed": True}, "`adapt.seed` must be int; got True"),
        ({"stages": [{"kind": "mntp", "lora": 3}]}, "must be a table; got 3"),
        ({"stages": [{"kind": "mntp", "lora": {"targets": "q"}}]}, "must be a list of str"),
        (
            {"stages": [{"kind": "mntp", "steps": 0}]},
            r"stages\[0\]: `steps` must be greater than 0",
        ),
    ],
)
def test_a_mistake_in_a_settings_file_is_named_with_its_place(
    values: dict[str, object], message: str
):
    with pytest.raises(ValueError, match=message):
        settings_from_dict(values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LoraSettings(rank=0), "`rank`"),
        (lambda: LoraSettings(dropout=1.0), "`dropout`"),
        (lambda: OptimizerSettings(learning_rate=0.0), "`learning_rate`"),
        (lambda: OptimizerSettings(schedule="cosine"), "`schedule`"),
        (lambda: OptimizerSettings(warmup_steps=-1), "`warmup_steps`"),
        (lambda: MntpSettings(mask_probability=1.0), "`mask_probability`"),
        (lambda: MntpSettings(masking="all"), "`masking`"),
        (lambda: MntpSettings(max_tokens=3), "`max_tokens`"),
        (lambda: MntpSettings(batch_size=0), "`batch_size`"),
        (lambda: MntpSettings(time_budget_seconds=0.0), "`time_budget_seconds`"),
        (lambda: SimcseSettings(temperature=0.0), "`temperature`"),
        (lambda: SimcseSettings(batch_size=1), "the others are negatives"),
        (lambda: SimcseSettings(pooling="cls"), "`pooling`"),
        (
            lambda: SimcseSettings(attention_dropout=0.0, lora=LoraSettings(dropout=0.0)),
            "both views of a text are equal",
        ),
        (lambda: AdaptSettings(stages=()), "`stages`"),
        (lambda: AdaptSettings(dtype="float16"), "`dtype`"),
    ],
)
def test_a_value_out_of_range_is_refused(make, message: str):  # noqa: ANN001
    with pytest.raises(ValueError, match=message):
        make()


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = OptimizerSettings(learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(settings, step=s, progress=s / 10) for s in range(10)]
    assert rates[0] == 0.25
    assert max(rates) == rates[3] == pytest.approx(0.7)
    assert learning_rate(settings, step=10, progress=1.0) == 0.0


def test_a_constant_learning_rate_stays():
    settings = OptimizerSettings(learning_rate=0.5, schedule="constant")
    assert {learning_rate(settings, step=s, progress=s / 10) for s in range(10)} == {0.5}


def test_progress_follows_steps_or_time_whichever_is_nearer_its_end():
    settings = MntpSettings(steps=100, time_budget_seconds=60.0)
    assert stage_progress(settings, step=50, seconds=6.0) == 0.5
    assert stage_progress(settings, step=10, seconds=45.0) == 0.75
    assert stage_progress(settings, step=10, seconds=99.0) == 1.0
    assert stage_progress(MntpSettings(steps=100), step=10, seconds=1e9) == 0.1
