"""Every way to ask, and every attempt to see what one may not: none succeeds."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from indexing.filters import Eq, HasWords, Not, Or
from retriever.errors import RetrieverError


def _beside(name: str) -> ModuleType:
    """A module of this folder; importlib mode gives test folders no import path."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_world = _beside("leak_world")
Attempt, MARKER, make_world = _world.Attempt, _world.MARKER, _world.make_world
PATHS = _beside("leak_paths").PATHS


def asking(*names: str, **more: Any) -> dict[str, Any]:
    return {"configurable": {"principals": list(names), **more}}


STRANGER = asking("user:stranger")
EVERYTHING = Or((Eq("protected", True), Eq("protected", False)))

WITHOUT_RIGHTS: dict[str, Any] = {
    "nobody asks": Attempt(),
    "empty config": Attempt(config={}),
    "no principals": Attempt(config={"configurable": {}}),
    "an empty list": Attempt(config=asking()),
    "None": Attempt(config={"configurable": {"principals": None}}),
    "a string": Attempt(config={"configurable": {"principals": "group:board"}}),
    "a mapping": Attempt(config={"configurable": {"principals": {"group:board": True}}}),
    "a list of lists": Attempt(config={"configurable": {"principals": [["group:board"]]}}),
    "an empty name": Attempt(config=asking("")),
    "another user": Attempt(config=STRANGER),
    "names that are alike": Attempt(
        config=asking("GROUP:BOARD", "group:board ", "board", "group:", "group:*", "*", "%", ".*")
    ),
    "filter with or": Attempt(
        config=STRANGER, filter={"or": [{"source": "handbook"}, {"not": {"source": "handbook"}}]}
    ),
    "filter with not": Attempt(config=STRANGER, filter={"not": {"document_id": "open"}}),
    "filter by id": Attempt(config=STRANGER, filter={"document_id": ["bonus", "secret", "nobody"]}),
    "filter by words": Attempt(config=STRANGER, filter={"text": {"words": MARKER}}),
    "filter on access": Attempt(config=STRANGER, filter={"access": "group:board"}),
    "filter on protected": Attempt(config=STRANGER, filter={"protected": True}),
    "filter or protected": Attempt(
        config=STRANGER, filter={"or": [{"protected": True}, {"protected": False}]}
    ),
    "condition on protected": Attempt(config=STRANGER, filter=EVERYTHING),
    "condition of words": Attempt(config=STRANGER, filter=Not(HasWords("text", "thirty"))),
    "filter alone": Attempt(filter={"document_id": "bonus"}),
    "principals in metadata": Attempt(config={"metadata": {"principals": ["group:board"]}}),
    "principals in tags": Attempt(config={"tags": ["group:board"]}),
    "principal, singular": Attempt(config={"configurable": {"principal": "group:board"}}),
    "another argument": Attempt(config=STRANGER, arguments={"user": "group:board"}),
    "access as argument": Attempt(config=STRANGER, arguments={"access": ["group:board"]}),
    "principals in the query": Attempt(
        query='leave bonus note principals=["group:board"] --as group:board access:group:board'
    ),
    "in the query of a stranger": Attempt(
        config=STRANGER, query=f"I am group:board, show {MARKER}; ignore access lists"
    ),
    "a tenant where there are none": Attempt(config=asking("user:stranger", tenant="acme")),
}

OF_ANOTHER_TENANT: dict[str, Any] = {
    "no tenant": Attempt(),
    "no tenant, but a user": Attempt(config=asking("user:eve")),
    "another tenant": Attempt(config=asking(tenant="acme")),
    "another tenant, by principal": Attempt(config=asking("tenant:acme")),
    "both tenants": Attempt(config=asking("tenant:rival", tenant="acme")),
    "both, by principals": Attempt(config=asking("tenant:acme", "tenant:rival")),
    "an empty tenant": Attempt(config=asking(tenant="")),
    "an empty name of a tenant": Attempt(config=asking("tenant:")),
    "a list of tenants": Attempt(config=asking(tenant=["acme", "rival"])),
    "every tenant": Attempt(config=asking(tenant="*")),
    "filter by tenant": Attempt(config=asking(tenant="acme"), filter={"metadata.tenant": "rival"}),
    "filter by tenants": Attempt(
        config=asking(tenant="acme"), filter={"metadata.tenant": ["acme", "rival"]}
    ),
    "filter with or": Attempt(
        config=asking(tenant="acme"),
        filter={"or": [{"metadata.tenant": "rival"}, {"not": {"metadata.tenant": "rival"}}]},
    ),
    "filter with not": Attempt(
        config=asking(tenant="acme"), filter={"not": {"metadata.tenant": "acme"}}
    ),
    "filter, but no tenant": Attempt(filter={"metadata.tenant": "rival"}),
    "tenant in metadata": Attempt(config={"metadata": {"tenant": "rival"}}),
    "tenant as argument": Attempt(config=asking(tenant="acme"), arguments={"tenant": "rival"}),
    "tenant in the query": Attempt(config=asking(tenant="acme"), query=f"tenant:rival {MARKER}"),
}


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Secrets for ``group:board``."""
    folder = tmp_path_factory.mktemp("leaks") / "protected"
    world = make_world(folder, secret={"access": ["group:board"]})
    yield world
    world.close()


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Texts of the tenants ``acme`` and ``rival``, open to everybody within each."""
    world = make_world(
        tmp_path_factory.mktemp("leaks") / "divided",
        secret={"metadata": {"tenant": "rival"}},
        settings="[access]\ntenant_field = 'metadata.tenant'\n",
    )
    yield world
    world.close()


def seen(world: Any, path: str, attempt: Any) -> str:
    """All that comes back, be it an error; the query itself is no news."""
    try:
        found = PATHS[path](world, attempt)
    except (ValueError, TypeError, LookupError, RetrieverError) as error:
        found = error
    return repr(found).replace(repr(attempt.query), "").replace(attempt.query, "")


@pytest.mark.parametrize("path", PATHS)
def test_no_attempt_without_rights_sees_a_protected_document(
    protected: Any, path: str, record_property: Any
):
    record_property("attempts", len(WITHOUT_RIGHTS))
    leaked = [name for name, one in WITHOUT_RIGHTS.items() if MARKER in seen(protected, path, one)]

    assert leaked == []
    allowed = seen(protected, path, Attempt(config=asking("group:board")))
    assert MARKER in allowed  # or the attempts would have shown nothing


@pytest.mark.parametrize("path", PATHS)
def test_no_attempt_of_another_tenant_sees_a_document(
    divided: Any, path: str, record_property: Any
):
    record_property("attempts", len(OF_ANOTHER_TENANT))
    leaked = [n for n, one in OF_ANOTHER_TENANT.items() if MARKER in seen(divided, path, one)]

    assert leaked == []
    assert MARKER in seen(divided, path, Attempt(config=asking(tenant="rival")))
    own = seen(divided, path, Attempt(config=asking(tenant="acme")))
    assert "thirty" in own


def test_1974_combinations_of_path_and_attempt_are_tried():
    assert len(PATHS) * (len(WITHOUT_RIGHTS) + len(OF_ANOTHER_TENANT)) == 1974
