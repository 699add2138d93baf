"""A new project: a commented argot.toml."""

from pathlib import Path

from argot.errors import SettingsError

TEMPLATE = """\
# Settings of an Argot project. Every setting has a default; those shown commented are the defaults.
# A variable overrides the file: ARGOT_SEARCH__K=5

[encoder]
# A decoder LLM's folder (config.json, safetensors, tokenizer), or the name of an encoder in
# .argot/encoders. Without a model the index is searched by words only.
{model}
# What `argot adapt` starts from, once `model` names an adapted encoder.
{base}
# pooling = "mean"            # mean, weighted_mean or last_token
# query_instruction = ""      # read before each query
# document_instruction = ""   # read before each document
# max_tokens = 512            # longer texts are cut
# dtype = "bfloat16"          # default: what the hardware does best

# Where documents come from: a folder of txt, md, html, pdf and docx, or JSON lines.
{sources}
[chunks]
# chunk_tokens = 256
# overlap_tokens = 64

[index]
# `argot index tune` tries these on your own vectors and judged queries.
# dimensions = 256            # keep that many of each vector; default: all
# projection = "none"         # svd, pca or whitening: fitted on the corpus before any are dropped
# storage = "f32"             # f16 and turbo16 take half of the disk, turbo8 a quarter
# quantization = "none"       # int8, tq4, tq2, tq1, binary or product: search smaller codes first
# two_stage = 128             # search the first so many dimensions first; default: all
# oversampling = 3.0          # candidates of such a first stage for each one wanted
# language = "english"        # for stop words and stems; "none" where it is unknown or mixed
# max_delete_fraction = 0.2   # a run that would remove more of a source is refused
# On a Qdrant server in place of the embedded engine: set url here; see docs/server.md

[search]
# k = 10
# mode = "hybrid"             # dense, sparse or hybrid
# depth = 100                 # candidates of each side before fusion
# fusion = "rrf"              # relative_score or dbsf fuse by scores instead of by ranks
# dense_weight = 1.0
# sparse_weight = 1.0
# rescore = true              # compare what codes or small vectors find with the whole vectors
# mmr = 1.0                   # below 1: hits that repeat others fall behind
# per_document = 0            # group hits by document, so many of each; 0: not grouped
# neighbours = 0              # chunks before and after each hit that come with it
# rerank = "none"             # cross-encoder, llm or late-interaction read the best hits again
# rerank_depth = 50           # hits that are read again
# rerank_weight = 0.5         # beside their scores before that; 1: the reranker alone orders
# expand = "none"             # hyde or multi-query: the language model widens each query

[stages]
# cross_encoder = ""          # a folder, for rerank = "cross-encoder"
# language_model = ""         # for rerank = "llm" and expand; default: the encoder's base
# text_tokens = 384           # tokens of a hit that a reranker reads
# passages = 1                # that hyde writes
# wordings = 3                # that multi-query writes
# temperature = 0.0           # of writing; 0: the same for the same query, always

[ask]
# k = 5                       # hits that the model may read
# min_term_share = 0.5        # share of the question's words that a hit must hold to be used
# min_cosine = 0.6            # or that are so close to the question; default: words alone decide
# max_new_tokens = 256        # of an answer

[access]
# tenant_field = ""           # such as metadata.tenant: queries name a tenant, and see no other

[adapt]
{adapt}
"""

EXAMPLE_SOURCE = """\
# [[sources]]
# name = "handbook"
# path = "docs"
# include = ["**/*.md"]
# protected = false           # true: documents without an access list are for nobody
"""


def write_project(
    folder: Path,
    *,
    model: str = "",
    source: tuple[str, str] | None = None,
    adapt: str = '# recipe = "default"         # `argot adapt --list-recipes` names the others',
) -> Path:
    """Write argot.toml.

    Args:
        folder: Made if missing.
        model: The encoder's folder, relative to it.
        source: Name and path of a first source.
        adapt: Lines of the table [adapt].

    Returns:
        The file.

    Raises:
        SettingsError: there is one already.
    """
    path = folder / "argot.toml"
    if path.exists():
        raise SettingsError(f"a project is never overwritten; {path} exists already")
    folder.mkdir(parents=True, exist_ok=True)
    entry = (
        f"[[sources]]\nname = {quoted(source[0])}\npath = {quoted(source[1])}\n"
        if source
        else EXAMPLE_SOURCE
    )
    path.write_text(
        TEMPLATE.format(
            model=f"model = {quoted(model)}" if model else '# model = "models/my-llm"',
            base=f"base = {quoted(model)}" if model else '# base = "models/my-llm"',
            sources=entry,
            adapt=adapt,
        ),
        encoding="utf-8",
    )
    return path


def quoted(text: str) -> str:
    """Write a TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
