"""Recipes: all that come with the package can be run, LLM2Vec's have the published numbers."""

from pathlib import Path
from typing import Any

import pytest

from adapters_training.recipes import DEFAULT_RECIPE, lay_over, list_recipes, load_recipe
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.dicts import settings_from_dict
from adapters_training.settings.run import AdaptSettings, MntpSettings, SimcseSettings

# BehnamGhader et al. 2024, arXiv:2404.05961, appendix D, and train_configs/ of its code.
# masking, its share, SimCSE's batch (the code's configuration for Sheared-LLaMA says 128)
PUBLISHED = {
    "sheared-llama": ("bert", 0.2, 32),
    "llama-2": ("bert", 0.2, 128),
    "llama-3": ("bert", 0.2, 128),
    "mistral": ("all_mask", 0.8, 128),
}


def settings_of(name: str) -> AdaptSettings:
    return settings_from_dict(load_recipe(name))


def test_the_package_has_the_papers_recipes_and_its_own():
    names = {recipe.name for recipe in list_recipes()}
    papers = {f"llm2vec-{model}{chain}" for model in PUBLISHED for chain in ("", "-supervised")}
    assert names == papers | {DEFAULT_RECIPE, "quick"}


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_every_recipe_can_be_read_and_says_what_it_is(recipe):  # noqa: ANN001
    assert settings_of(recipe.name).stages[0].kind == "mntp"
    assert 20 < len(recipe.summary) < 100


@pytest.mark.parametrize("model", PUBLISHED)
@pytest.mark.parametrize("chain", ["", "-supervised"])
def test_mntp_is_the_papers(model: str, chain: str):
    settings = settings_of(f"llm2vec-{model}{chain}")
    mntp = settings.stages[0]
    assert isinstance(mntp, MntpSettings)
    assert (mntp.masking, mntp.mask_probability) == PUBLISHED[model][:2]
    assert (mntp.steps, mntp.batch_size, mntp.max_tokens, mntp.mask_token) == (1000, 32, 512, "_")
    assert (mntp.optimizer.learning_rate, mntp.optimizer.warmup_steps) == (5e-5, 0)
    assert (settings.dtype, settings.gradient_checkpointing) == ("bfloat16", True)


@pytest.mark.parametrize("model", PUBLISHED)
def test_simcse_is_the_papers(model: str):
    simcse = settings_of(f"llm2vec-{model}").stages[1]
    assert isinstance(simcse, SimcseSettings)
    assert (simcse.steps, simcse.batch_size) == (1000, PUBLISHED[model][2])
    assert (simcse.max_tokens, simcse.temperature) == (128, 0.05)
    assert (simcse.attention_dropout, simcse.pooling) == (0.3, "mean")
    assert (simcse.optimizer.learning_rate, simcse.optimizer.warmup_steps) == (3e-5, 0)


@pytest.mark.parametrize("model", PUBLISHED)
def test_supervised_training_is_the_papers(model: str):
    stage = settings_of(f"llm2vec-{model}-supervised").stages[1]
    assert isinstance(stage, ContrastiveSettings)
    assert (stage.steps, stage.batch_size) == (1000, 512)
    assert (stage.max_tokens, stage.query_tokens, stage.temperature) == (512, 512, 0.02)
    assert (stage.negatives, stage.mine, stage.pairs) == (1, (), ("labelled",))
    assert (stage.false_negative_margin, stage.matryoshka, stage.evaluations) == (None, (), 0)
    assert (stage.optimizer.learning_rate, stage.optimizer.warmup_steps) == (2e-4, 300)


@pytest.mark.parametrize("model", PUBLISHED)
@pytest.mark.parametrize("chain", ["", "-supervised"])
def test_every_stage_of_the_paper_has_its_adapter_and_a_rate_that_stays(model: str, chain: str):
    stages = settings_of(f"llm2vec-{model}{chain}").stages
    assert len(stages) == 2
    for stage in stages:
        assert (stage.lora.rank, stage.lora.alpha, stage.lora.dropout) == (16, 32, 0.05)
        assert stage.optimizer.schedule == "constant"


def test_the_default_recipe_learns_from_every_kind_of_pair():
    stage = settings_of(DEFAULT_RECIPE).stages[-1]
    assert isinstance(stage, ContrastiveSettings)
    assert stage.pairs == ("labelled", "structural", "synthetic")
    assert stage.matryoshka
    assert stage.evaluations


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'llm2vec-mistral'"):
        load_recipe("llm2vec-mistrl")


def test_a_recipe_may_be_a_file(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('[adapt]\nstages = ["mntp"]\n')
    assert load_recipe(tmp_path / "mine.toml") == {"stages": ["mntp"]}
    assert load_recipe("mine.toml", beside=tmp_path) == {"stages": ["mntp"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[adapt]\n[search]\n", r"a table \[adapt\] and nothing else; .* has search"),
        ("", "has none"),
        ("[adapt", "can't be read"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"nowhere\.toml can't be read"):
        load_recipe("nowhere.toml")


RECIPE: dict[str, Any] = {
    "seed": 1,
    "dtype": "float32",
    "stages": [
        {"kind": "mntp", "steps": 5, "optimizer": {"learning_rate": 1e-3, "warmup_steps": 2}},
        {"kind": "simcse", "steps": 6},
    ],
}


def test_what_is_laid_over_a_recipe_leaves_the_rest_of_it():
    changes = {"seed": 2, "stages": [{"kind": "mntp", "optimizer": {"warmup_steps": 3}}]}
    assert lay_over(RECIPE, changes) == {
        "seed": 2,
        "dtype": "float32",
        "stages": [
            {"kind": "mntp", "steps": 5, "optimizer": {"learning_rate": 1e-3, "warmup_steps": 3}}
        ],
    }


def test_stages_that_are_named_alone_are_the_recipes_in_that_order():
    found = lay_over(RECIPE, {"stages": ["simcse", "contrastive", "mntp"]})["stages"]
    assert found == [{"kind": "simcse", "steps": 6}, {"kind": "contrastive"}, RECIPE["stages"][0]]


def test_a_mistake_in_what_is_laid_over_is_still_found():
    with pytest.raises(ValueError, match="must be a table with `kind`"):
        settings_from_dict(lay_over(RECIPE, {"stages": [{"steps": 3}]}))
    with pytest.raises(ValueError, match="must be a list of tables"):
        settings_from_dict(lay_over(RECIPE, {"stages": "mntp"}))


def test_false_says_none_where_none_is_a_choice():
    stages = [{"kind": "mntp", "time_budget_seconds": False, "gradient": 1}]
    with pytest.raises(ValueError, match="no setting 'gradient'"):
        settings_from_dict({"stages": stages})
    settings = settings_from_dict({"stages": [{"kind": "mntp", "time_budget_seconds": False}]})
    assert settings.stages[0].time_budget_seconds is None
    with pytest.raises(ValueError, match="must be int; got False"):
        settings_from_dict({"seed": False})
