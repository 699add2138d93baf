"""Tiny random decoders of many families, with a tokenizer trained on a few lines."""

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

LINES = [
    "the quick brown fox jumps over the lazy dog",
    "a retriever finds the passage that answers the question",
    "wing lift and drag in supersonic flow over a flat plate",
    "employees may take thirty days of leave in every year",
    "press the power button for three seconds to reset the device",
]

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 320,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}

EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_local_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "n_group": 2,
    "topk_group": 1,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
"""Four small experts a layer, in each family's own words; a family ignores the others' words."""

LATENT: dict[str, Any] = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "head_dim": 4,
}
"""Latent attention, as in DeepSeek."""

LOCAL_AND_FULL = {"layer_types": ["sliding_attention", "full_attention"]}

FAMILIES: dict[str, dict[str, Any]] = {
    "apertus": {},
    "biogpt": {},
    "bitnet": {},
    "bloom": {},  # eager only
    "codegen": {"rotary_dim": 4},  # eager only
    "cohere2": LOCAL_AND_FULL,
    "deepseek_v3": {**LATENT, **EXPERTS},
    "ernie4_5": {},
    "exaone4": LOCAL_AND_FULL,
    "falcon": {"head_dim": None, "num_key_value_heads": None},
    "gemma": {},
    "gemma2": {},  # eager only
    "gemma3": {  # reads images too; its text decoder is used
        "text_config": {**SIZES, **LOCAL_AND_FULL},
        "vision_config": {
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 4,
        "image_token_index": 310,
        "boi_token_index": 311,
        "eoi_token_index": 312,
    },
    "gemma3_text": LOCAL_AND_FULL,
    "gemma3n_text": {
        **LOCAL_AND_FULL,
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": 320,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0, 0.0],
    },
    "gemma4_text": {
        **LOCAL_AND_FULL,
        "num_kv_shared_layers": 0,
        "vocab_size_per_layer_input": 320,
        "hidden_size_per_layer_input": 8,
        "global_head_dim": 8,
    },
    "glm4": {},
    "gpt2": {},
    "gpt_neox": {},
    "gpt_oss": EXPERTS,  # eager only
    "gptj": {"rotary_dim": 4},  # eager only
    "granite": {},
    "helium": {},
    "hunyuan_v1_dense": {},
    "llama": {},
    "ministral3": {},
    "mistral": {},
    "mixtral": EXPERTS,
    "nemotron": {},  # reads the modules' own flag on SDPA
    "olmo": {},
    "olmo2": {},
    "olmo3": LOCAL_AND_FULL,
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "phi": {},
    "phi3": {},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "smollm3": {},
    "stablelm": {},
    "starcoder2": {},
    "xglm": {"d_model": 32, "num_layers": 2, "attention_heads": 4, "ffn_dim": 64},  # eager only
}
"""Families of decoders that become encoders, and what each needs beside `SIZES`; None leaves a
size out."""

MORE_FAMILIES: dict[str, dict[str, Any]] = {
    "afmoe": {**EXPERTS, "num_dense_layers": 1},
    "arcee": {},
    "cohere": {},
    "cwm": LOCAL_AND_FULL,
    "deepseek_v2": {**LATENT, **EXPERTS},
    "diffllama": {},
    "doge": {},
    "dots1": EXPERTS,
    "ernie4_5_moe": EXPERTS,
    "flex_olmo": EXPERTS,
    "glm": {},
    "glm4_moe": EXPERTS,
    "gpt_bigcode": {},
    "gpt_neox_japanese": {},  # eager only
    "granitemoe": EXPERTS,
    "hunyuan_v1_moe": EXPERTS,
    "jetmoe": EXPERTS,
    "minicpm3": LATENT,
    "ministral": LOCAL_AND_FULL,
    "nanochat": {},
    "olmoe": EXPERTS,
    "persimmon": {},
    "phimoe": EXPERTS,
    "qwen2_moe": EXPERTS,
    "seed_oss": {},
    "vaultgemma": {},  # eager only
}
"""Seldom met, or much like one above; tested in the slow tier."""

GATED_DELTA: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}

STATE_SPACE: dict[str, Any] = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_d_ssm": 64,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
}

HYBRIDS: dict[str, dict[str, Any]] = {
    "bamba": {**STATE_SPACE, "attn_layer_indices": [1]},
    "falcon_h1": STATE_SPACE,
    "granitemoehybrid": {
        **EXPERTS,
        **STATE_SPACE,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "jamba": {**EXPERTS, **STATE_SPACE, "attn_layer_offset": 1, "attn_layer_period": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "minimax": EXPERTS,
    "nemotron_h": {
        "layer_types": ["linear_attention", "full_attention"],
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
    },
    "olmo_hybrid": {},
    "qwen3_5_text": GATED_DELTA,
    "qwen3_next": {**GATED_DELTA, **EXPERTS},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
}
"""Decoders of which some layers are no attention."""

CAUSAL_ONLY: dict[str, dict[str, Any]] = {
    "falcon_mamba": {"state_size": 8},
    "gpt_neo": {"attention_types": [[["global"], 2]]},
    "llama4_text": {},
    "mamba": {"state_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1},
    "mpt": {},
    "openai-gpt": {},
    "rwkv": {},
    "xlstm": {},
}
"""Decoders that can't be made to see the whole text."""

PARTICULARS = {**FAMILIES, **MORE_FAMILIES, **HYBRIDS, **CAUSAL_ONLY}


def tiny_tokenizer(*, add_bos: bool = False, add_eos: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 320 entries; like SmolLM2's it gives the empty text no token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<bos>", "<eos>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    if add_bos or add_eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> " * add_bos + "$A" + " <eos>" * add_eos,
            special_tokens=[("<bos>", 0), ("<eos>", 1)],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def write_tiny_decoder(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """Write a seeded random checkpoint of two layers and its tokenizer to ``folder``."""
    torch.manual_seed(0)
    specials = {name: changes.pop(name, False) for name in ("add_bos", "add_eos")}
    sizes = {**SIZES, **PARTICULARS.get(architecture, {}), **changes}
    config = CONFIG_MAPPING[architecture](
        **{name: value for name, value in sizes.items() if value is not None}
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tiny_tokenizer(**specials).save_pretrained(folder)
    return folder


def write_tiny_adapter(
    folder: Path,
    base: Path,
    *,
    seed: int = 0,
    with_head: bool = False,
    targets: tuple[str, ...] = ("q_proj", "v_proj", "down_proj"),
    **changes: Any,
) -> Path:
    """Write a LoRA adapter with seeded random weights, as peft saves it, to ``folder``."""
    torch.manual_seed(seed)
    loader: Any = AutoModelForCausalLM if with_head else AutoModel
    settings = {"r": 4, "lora_alpha": 8, "target_modules": list(targets), **changes}
    with warnings.catch_warnings():
        # peft reads a property that transformers renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        model = get_peft_model(loader.from_pretrained(base), LoraConfig(**settings))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, so the adapter would do nothing
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(str(folder))
    return folder


def pair_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that frames pairs as BERT's does: <bos> A <eos> B <eos>, B of another kind."""
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>",
        pair="<bos> $A <eos> $B:1 <eos>:1",
        special_tokens=[("<bos>", 0), ("<eos>", 1)],
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def write_tiny_cross_encoder(folder: Path, architecture: str = "bert", **changes: Any) -> Path:
    """Write a seeded random sequence classifier and its tokenizer to ``folder``."""
    torch.manual_seed(0)
    config = CONFIG_MAPPING[architecture](**{**SIZES, "num_labels": 1, **changes})
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "embedding" not in name:  # as made, all scores are nearly the same
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    decoder = architecture in FAMILIES
    (tiny_tokenizer() if decoder else pair_tokenizer()).save_pretrained(folder)
    return folder
