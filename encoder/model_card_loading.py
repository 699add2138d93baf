"""The part of a model card that shows, with code that runs, how an export is loaded. No torch."""

import json

from encoder.spec import EncoderSpec

POOLING_CODE = {
    "mean": """\
mask = rows["attention_mask"].unsqueeze(-1)  # [N, T, 1]
vectors = (states * mask).sum(dim=1) / mask.sum(dim=1)""",
    "weighted_mean": """\
mask = rows["attention_mask"].unsqueeze(-1)  # [N, T, 1]
weights = mask * torch.arange(1, mask.shape[1] + 1).unsqueeze(-1)
vectors = (states * weights).sum(dim=1) / weights.sum(dim=1)""",
    "last_token": """\
last = rows["attention_mask"].sum(dim=1) - 1
vectors = states[torch.arange(len(last)), last]""",
}

ARGOT = """\
### Argot

```python
from argot import Encoder

encoder = Encoder.load({folder})
vectors = encoder.encode_documents(["a text"])
queries = encoder.encode_queries(["a question"])
```"""

SENTENCE_TRANSFORMERS = """\
### sentence-transformers

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({folder})
vectors = model.encode_document(["a text"])
queries = model.encode_query(["a question"])
```"""

TRANSFORMERS = """\
### {title}

Without an instruction; the tokens of one must be read and left out of the pool.

```python
import torch
{imports}

tokenizer = AutoTokenizer.from_pretrained({folder}, padding_side="right")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
{model}
model.eval()
rows = tokenizer(["a text"], padding=True, truncation=True, max_length={max_tokens}, \
return_tensors="pt")
with torch.inference_mode():
    states = model(**rows).last_hidden_state.float()  # [N, T, D]
{pooling}
vectors = torch.nn.functional.normalize(vectors, dim=1)
```"""

PEFT_IMPORTS = """\
from peft import PeftModel
from transformers import AutoConfig, AutoModel, AutoTokenizer"""

PEFT_MODEL = """\
config = AutoConfig.from_pretrained({base})
config.is_causal = {causal}
base = AutoModel.from_pretrained({base}, config=config, dtype=torch.float32)
model = PeftModel.from_pretrained(base, {folder}).merge_and_unload()"""

NOT_MERGED = """\
## What not to do with it

- Do not open it in another program that does not read `is_causal` from `config.json`: its tokens
  would see only what is before them, and its vectors would be wrong without an error. Compare one
  vector with Argot's first.
- Do not generate text with it: these weights are no language model's any more.
- Do not change a file in it: Argot checks its parts, and an index is bound to them."""

NOT_ADAPTER = """\
## What not to do with it

- Do not open it with plain sentence-transformers, and do not write a base model into
  `adapter_config.json` to make it open: the model would be causal, another token would be its
  vector, and no error would say so. The merged form is for that: `argot encoders export NAME
  --merged DIR`.
- Do not put it on a model with a language-model head (`AutoModelForCausalLM`): its layers have
  other names there, and peft then adapts nothing and only warns.
- Do not use it with any other base model, nor merge it into one and train it further as if it
  were that model.
- Do not change a file in it: Argot checks its parts, and an index is bound to them."""


def loading_sections(spec: EncoderSpec, *, name: str, base_name: str) -> str:
    """Show how to load an export, and say what not to do with it.

    Args:
        spec: What was exported.
        name: Of the encoder.
        base_name: Of its base model.
    """
    folder = json.dumps(f"path/to/{name}")
    parts = ["## How to load it", ARGOT.format(folder=folder)]
    if spec.form == "merged":
        parts.append(SENTENCE_TRANSFORMERS.format(folder=folder))
    else:
        parts.append(
            "Argot finds the base model where `encoder.json` says, from this folder. If it lies "
            "elsewhere: `argot encoders export FOLDER --adapter NEW-FOLDER --base BASE-MODEL`."
        )
    parts.append(transformers_section(spec, folder=folder, base_name=base_name))
    parts.append(NOT_MERGED if spec.form == "merged" else NOT_ADAPTER)
    return "\n\n".join(parts)


def transformers_section(spec: EncoderSpec, *, folder: str, base_name: str) -> str:
    """Show how plain transformers, with peft for an adapter, gives the same vectors."""
    imports = "from transformers import AutoModel, AutoTokenizer"
    if spec.form == "merged":
        title = "transformers"
        model = f"model = AutoModel.from_pretrained({folder})"
    else:
        title = "peft and transformers"
        imports = PEFT_IMPORTS
        model = PEFT_MODEL.format(
            base=json.dumps(f"path/to/{base_name}"), causal=spec.settings.causal, folder=folder
        )
    return TRANSFORMERS.format(
        title=title,
        imports=imports,
        folder=folder,
        model=model,
        max_tokens=spec.settings.max_tokens,
        pooling=POOLING_CODE[spec.settings.pooling],
    )
