"""`argot ask`: answers, sources, refusals and exit codes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from argot import Project
from argot.asking import open_answerer
from argot.cli.visible import visible
from argot.document_writing import DocumentWriter
from connectors.document import Document

Run = Callable[..., tuple[int, Any, str]]

KEYS = [
    *("schema_version", "question", "answered", "refusal", "answer", "cited"),
    *("unknown_citations", "sources", "left_out"),
]
TEMPLATE = (
    "{% for message in messages %}<bos>{{ message['role'] }}: {{ message['content'] }}<eos>"
    "{% endfor %}{% if add_generation_prompt %}<bos>assistant: {% endif %}"
)


def add(project: Path, text: str) -> None:
    with (project / "argot.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def test_nothing_relevant_is_a_refusal_with_code_1_and_needs_no_model(project: Path, argot: Run):
    argot("ingest", "--project", project)
    asked = ("ask", "Who won the football championship in Brazil?", "--project", project)
    code, out, err = argot(*asked)
    assert (code, out) == (1, "")
    assert err.startswith("no answer: nothing was found")
    code, found, _ = argot(*asked, "--json")
    assert code == 1
    assert list(found) == KEYS
    assert (found["schema_version"], found["answered"], found["answer"]) == (1, False, "")
    assert (found["sources"], found["cited"]) == ([], [])
    code, _, err = argot("ask", "device championship Brazil football", "--project", project)
    assert code == 1
    assert "none of 1 hits is relevant" in err
    assert "at least 50% of the question's words; the best has 25%" in err


@pytest.mark.parametrize("question", ["", "  ", "\n\t"])
def test_a_blank_question_is_refused_before_anything_is_opened(
    tmp_path: Path, argot: Run, question: str
):
    code, out, err = argot("ask", question, "--project", tmp_path / "not-there")
    assert (code, out) == (2, "")
    assert "a question must have at least one word" in err
    assert "hint: write it out, such as 'How many days" in err


@pytest.mark.parametrize(
    ("settings", "refused", "off"),
    [
        ('expand = "hyde"', "`expand` 'hyde' changes the vector", "--expand=none"),
        ("min_score = 0.3", "`min_score` needs scores", "--min-score=-inf"),
    ],
)
def test_what_does_not_go_with_words_alone_can_be_switched_off(
    project: Path, argot: Run, settings: str, refused: str, off: str
):
    argot("ingest", "--project", project)
    add(project, f"\n[search]\n{settings}\n")
    asked = ("ask", "Who won the football championship?", "--mode", "sparse", "--project", project)
    code, _, err = argot(*asked)
    assert (code, refused in err, "hint: " in err, "[ask]" in err) == (2, True, True, False)
    code, _, err = argot(*asked, off)
    assert (code, err.startswith("no answer: nothing was found")) == (1, True)


def test_an_answer_without_a_language_model_is_a_mistake_in_the_settings(project: Path, argot: Run):
    argot("ingest", "--project", project)
    code, _, err = argot("ask", "How many days of paid leave?", "--project", project)
    assert code == 2
    assert "[encoder] names no model" in err
    assert "language_model" in err


def test_a_protected_source_answers_nobody_who_does_not_say_who_asks(project: Path, argot: Run):
    corpus = project / "docs/corpus.jsonl"
    corpus.write_text(json.dumps({"_id": "1", "text": "secret plan", "access": ["group:board"]}))
    add(project, "protected = true\n")
    argot("ingest", "--project", project)
    assert argot("ask", "secret plan?", "--project", project)[0] == 4
    assert argot("ask", "secret plan?", "--project", project, "--as", "user:nobody")[0] == 1
    asked = argot("ask", "secret plan?", "--project", project, "--as", "group:board")
    assert (asked[0], "names no model" in asked[2]) == (2, True), "found, but nothing answers"


class Scripted:
    """A model of words that says its lines, to see what is made of them."""

    context_tokens = 150

    def quotable(self, text: str) -> str:
        return text

    def beginning(self, text: str, *, max_tokens: int) -> str:
        return " ".join(text.split(" ")[:max_tokens])

    def prompt_tokens(self, turns: Sequence[Mapping[str, str]]) -> int:
        return sum(len(turn["content"].split()) for turn in turns)

    def write(self, turns: Sequence[Mapping[str, str]], *, max_new_tokens: int) -> Iterator[str]:
        assert self.prompt_tokens(turns) + max_new_tokens <= self.context_tokens
        yield from ("Thirty days", " [1", "], or so [8]", ".")


def test_an_answer_comes_before_the_sources_it_cites_and_remarks_go_to_stderr(
    project: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("argot.asking.load_chat_model", lambda *_: Scripted())
    (project / "docs/more.md").write_text(f"# Days of leave\n\n{'long words ' * 60}")
    add(project, "[ask]\nmax_new_tokens = 5\n")
    argot("ingest", "--project", project)
    asked = ("ask", "How many days of paid leave?", "--project", project)
    code, out, err = argot(*asked)
    assert code == 0
    answer, blank, source = out.splitlines()
    assert (answer, blank) == ("Thirty days [1], or so.", "")
    _, found, _ = argot(*asked, "--json")
    first, second = found["sources"]
    start, end = first["span"]
    assert source.startswith("[1] ")
    assert source.endswith(f"({first['document_id']}, characters {start} to {end})")
    assert (found["answer"], found["cited"], found["unknown_citations"]) == (answer, [1], [8])
    assert (first["cited"], second["cited"]) == (True, False)
    cut = first if first["cut"] else second
    assert cut["document_id"] == "more.md"
    assert cut["text"] == (project / "docs/more.md").read_text()[slice(*cut["span"])]
    assert "dropped: citations of sources that do not exist (8)" in err
    assert "no room for every source: 1 cut, 0 left out" in err


class Hostile(Scripted):
    """Says what a document talked it into."""

    def write(self, turns: Sequence[Mapping[str, str]], *, max_new_tokens: int) -> Iterator[str]:  # noqa: ARG002
        yield from ("Thirty", "\x1b]0;OWNED\x07 days [1].\n\tYes.")


def test_what_an_answer_and_its_sources_say_to_the_terminal_is_shown_and_not_done(
    project: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("argot.asking.load_chat_model", lambda *_: Hostile())
    add(project, "[ask]\nmax_new_tokens = 5\n")
    title, text = "Leave\x1b[2J\n[2] faked", "Thirty days of paid leave."
    argot("ingest", "--project", project)
    DocumentWriter(Project.open(project)).write([Document(id="a", title=title, text=text)])
    asked = ("ask", "How many days of paid leave?", "--filter", "document_id=a")
    code, out, _ = argot(*asked, "--project", project)
    assert code == 0
    said = "Thirty\\x1b]0;OWNED\\x07 days [1].\n\tYes.\n\n"
    assert out == said + "[1] Leave\\x1b[2J [2] faked  (a, characters 0 to 26)\n"


def test_filters_narrow_what_is_answered_from(project: Path, argot: Run):
    argot("ingest", "--project", project)
    asked = ("ask", "How many days of paid leave?", "--project", project, "--filter")
    assert argot(*asked, "document_id=leave.md")[0] == 2, "found, but nothing answers"
    assert argot(*asked, "document_id=power.md")[0] == 1
    assert argot(*asked, "nonsense=1")[0] == 2


def test_a_wrong_setting_is_named(project: Path, argot: Run):
    add(project, "[ask]\nmin_cosine = 2.0\n")
    code, _, err = argot("ask", "leave", "--project", project)
    assert (code, "[ask]: `min_cosine` must be in [-1, 1]; got 2.0" in err) == (2, True)


@pytest.fixture
def with_model(project: Path, write_decoder: Callable[..., Path]) -> Path:
    """The project with a tiny decoder that has room for sources, and a chat template."""
    from transformers import AutoTokenizer

    folder = write_decoder("llama", max_position_embeddings=4096, initializer_range=0.3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    add(
        project,
        f"[encoder]\nmodel = '{folder}'\ndtype = 'float32'\ndevice = 'cpu'\n"
        "[ask]\nmax_new_tokens = 24\n",
    )
    return project


@pytest.mark.torch
@pytest.mark.usefixtures("one_thread")
def test_an_answer_is_streamed_and_its_sources_are_hits(with_model: Path, argot: Run):
    argot("ingest", "--project", with_model)
    asked = ("ask", "How many days of paid leave?", "--project", with_model, "-k", "2")
    code, found, _ = argot(*asked, "--json")
    assert code == 0
    assert list(found) == KEYS
    assert found["answer"]
    assert found["sources"][0]["document_id"] == "leave.md"
    source = found["sources"][0]
    assert source["text"] == (with_model / "docs/leave.md").read_text()[slice(*source["span"])]
    assert (source["number"], source["cited"], source["cut"]) == (1, 1 in found["cited"], False)
    code, out, err = argot(*asked)
    assert code == 0
    assert out.startswith(f"{visible(found['answer'])}\n")
    assert "cites none of its 1 sources: check it against\n[1] " in err
    assert argot(*asked, "--mode", "sparse", "--json")[1]["answer"] == found["answer"]


@pytest.mark.torch
@pytest.mark.usefixtures("one_thread")
def test_the_model_that_answers_is_the_one_that_encodes_one_copy_of_the_weights(with_model: Path):
    project = Project.open(with_model)
    project.ingest()
    project = Project.open(with_model)
    with open_answerer(project) as answerer:
        answerer.answer("How many days of paid leave?")
        encoder: Any = project.encoder
        model: Any = answerer._load_model()
    ours = dict(encoder._model.named_parameters())
    theirs = dict(model._decoder.model.base_model.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in theirs)
    assert encoder._model.config.is_causal is False
    assert model._decoder.model.config is not encoder._model.config


@pytest.mark.torch
@pytest.mark.usefixtures("one_thread")
def test_a_context_too_small_for_a_source_is_a_mistake_in_the_settings(
    with_model: Path, argot: Run
):
    argot("ingest", "--project", with_model)
    settings = with_model / "argot.toml"
    settings.write_text(settings.read_text().replace("= 24", "= 4000"))
    code, _, err = argot("ask", "How many days of paid leave?", "--project", with_model)
    assert code == 2
    assert "[ask]: question, a source and an answer of 4000 tokens must fit" in err
