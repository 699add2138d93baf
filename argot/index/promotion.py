"""Let another index version answer: bring it in step, judge it, switch; and the way back."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from argot.evaluation.searches import evaluate_searcher
from argot.index.building import fill
from argot.index.gate import METRICS, Questions, Verdict, headings_as_questions, judge
from argot.index.versions import live_of, open_catalog
from argot.project import Project
from argot.searching import usable_mode
from argot.version_encoder import vector_settings
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog.catalog import Catalog
from indexing.errors import IndexLockedError, NoIndexError
from indexing.files.lock import hold_lock
from indexing.sync.step_report import StepReport, TellStep
from indexing.versions.collection import open_index
from indexing.versions.description import IndexVersion, previous_version, read_version
from indexing.versions.published_reader import open_published
from indexing.versions.switching import go_live
from retriever.access import NO_TENANTS
from retriever.search import Searcher
from retriever.settings import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """What a promotion or a rollback did."""

    version: str
    before: str
    """The version that was live."""

    done: bool
    """The version is live now; False: the gate refused it."""

    replayed: StepReport
    """What was ingested into the live version and had to be replayed."""

    verdict: Verdict | None
    """None: nothing was measured."""


def promote(
    project: Project,
    name: str,
    *,
    gate: bool = True,
    questions: Questions | None = None,
    principals: Sequence[str] = (),
    tell: TellStep | None = None,
) -> Switch:
    """Let a version answer if it finds what the live one finds.

    What was ingested since the version was built is replayed into it first. Then both answer the
    same queries; the version is refused where it is worse by more than chance, or lacks documents.
    The switch is one rename: a query is answered by the one version or by the other.

    Args:
        project: The project.
        name: The version.
        gate: False: switch whatever is measured; nothing is.
        questions: Judged queries; None: made of the documents' headings.
        principals: Who asks them.
        tell: Told how far the replay has come.

    Returns:
        What was done, and what was measured.

    Raises:
        NoIndexError: there is no such version, or no live one.
        IndexLockedError: an ingestion is running, or another process writes to the version.
        WrongEncoderError: the version's encoder is not what it was.
        SettingsError: there is nothing to make queries of.
    """
    live, new = live_of(project), read_version(project.paths.indexes, name)
    if new.name == live.name:
        return Switch(version=name, before=name, done=True, replayed=StepReport(), verdict=None)
    with open_catalog(project) as catalog:
        replayed = _replay(project, catalog, new, live=live, tell=tell)
        if gate and replayed.failed:
            return Switch(
                version=name, before=live.name, done=False, replayed=replayed, verdict=None
            )
        verdict = None
        if gate:
            asked = questions or headings_as_questions(
                catalog.points(version=live.name), principals=principals
            )
            verdict = _judged(project, live=live, new=new, questions=asked, principals=principals)
        done = verdict is None or not verdict.worse
        if done:
            _switch(project, catalog, new, live=live)
    return Switch(version=name, before=live.name, done=done, replayed=replayed, verdict=verdict)


def roll_back(project: Project, *, tell: TellStep | None = None) -> Switch:
    """Let the version answer that did before the live one; nothing is measured.

    What was ingested since is replayed into it first. Rolling back again returns to this one.

    Args:
        project: The project.
        tell: Told how far the replay has come.

    Raises:
        NoIndexError: no version was live before. Also what `promote` raises.
    """
    name = previous_version(project.paths.indexes)
    if name is None:
        raise NoIndexError(
            f"no version answered before {live_of(project).name}, or it was removed\n"
            "hint: `argot index list` shows the versions, `argot index promote NAME` takes any"
        )
    return promote(project, name, gate=False, tell=tell)


def _replay(
    project: Project,
    catalog: Catalog,
    version: IndexVersion,
    *,
    live: IndexVersion,
    tell: TellStep | None,
) -> StepReport:
    """Bring a version in step with the live one; no encoder is loaded where nothing differs."""
    comparison = catalog.compare(live.name, version.name)
    if comparison.pending().nothing:
        comparison.copy_standing()
        return StepReport()
    dense = project.encoder_of(version)
    indexes, server = project.paths.indexes, project.settings.server
    with open_index(indexes, version=version.name, server=server) as index:
        return fill(project, catalog, index, dense=dense, live=live, tell=tell)


def _switch(
    project: Project, catalog: Catalog, version: IndexVersion, *, live: IndexVersion
) -> None:
    with ExitStack() as held:
        ingesting = "ingestion of this project"
        held.enter_context(hold_lock(project.paths.ingest_lock, what=ingesting))
        _hold_sources(catalog, live, held)
        # Measuring took its time; nothing can be ingested from here on.
        _replay(project, catalog, version, live=live, tell=None)
        go_live(
            project.paths.indexes,
            version.name,
            configured=vector_settings(project.settings.encoder),
            server=project.settings.server,
        )
        catalog.note_live(version.name)


def _hold_sources(catalog: Catalog, live: IndexVersion, held: ExitStack) -> None:
    """Keep workers on other machines, which share the catalog, from ingesting too."""
    leases = catalog.leases()
    for source in catalog.summary(version=live.name):
        lease = leases.take(source.source, version=live.name)
        if lease is None:
            owner = leases.owner_of(source.source, version=live.name)
            raise IndexLockedError(
                f"source {source.source!r} is being ingested by {owner}\n"
                "hint: try again when it is done; what was replayed is kept"
            )
        held.enter_context(lease)


def _judged(
    project: Project,
    *,
    live: IndexVersion,
    new: IndexVersion,
    questions: Questions,
    principals: Sequence[str],
) -> Verdict:
    # The new one first: its encoder is loaded already where something was replayed.
    # Words find headings whatever the vectors are; so where both have some, they alone are asked.
    vectors = new.encoder and live.encoder and project.settings.search.mode != "sparse"
    mode: Mode | None = "dense" if questions.made_up and vectors else None
    found = {}
    for version in (new, live):
        with _searcher(project, version, mode=mode, asked=bool(principals)) as searcher:
            found[version.name] = evaluate_searcher(
                searcher, questions.judgements, metrics=METRICS, principals=list(principals) or None
            )
    return judge(found[live.name], found[new.name], origin=questions.origin)


@contextmanager
def _searcher(
    project: Project, version: IndexVersion, *, mode: Mode | None, asked: bool
) -> Iterator[Searcher]:
    paths, settings = project.paths, project.settings
    with open_published(paths.indexes, version=version.name, server=settings.server) as index:
        usable = mode or usable_mode(settings.search.mode, index)
        yield Searcher(
            index,
            sparse=Bm25Encoder(Bm25Settings(**version.bm25)),
            dense=None if usable == "sparse" else project.encoder_of(version),
            settings=replace(settings.search, mode=usable),
            # asked by nobody, the gate compares the whole versions; it shows no text
            access=settings.access if asked else NO_TENANTS,
        )
