"""LangChain's standard suites on Argot, and on langchain-qdrant where that is installed.

    python benchmarks/langchain_suites.py

Both run on an embedded index, with the suites of the installed langchain-tests.
"""

import importlib.util
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = (
    "tests/langchain/test_standard_suites.py",
    "tests/retriever/test_langchain_standard.py",
)

QDRANT = """
from collections.abc import Iterator

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_qdrant import QdrantVectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from langchain_tests.integration_tests.vectorstores import EMBEDDING_SIZE
from qdrant_client import QdrantClient, models


class TestQdrantVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        client = QdrantClient(":memory:")
        client.create_collection(
            "docs",
            vectors_config=models.VectorParams(
                size=EMBEDDING_SIZE, distance=models.Distance.COSINE
            ),
        )
        yield QdrantVectorStore(client, "docs", embedding=self.get_embeddings())
        client.close()
"""


def main() -> None:
    """Run the suites and print how many tests of each passed."""
    print(
        f"langchain-tests {version('langchain-tests')}, langchain-core {version('langchain-core')}"
    )
    for name, (passed, total) in sorted(counts([REPOSITORY / file for file in OURS]).items()):
        print(f"Argot             {name:32} {passed:3} of {total}")
    if importlib.util.find_spec("langchain_qdrant") is None:
        print("langchain-qdrant is not installed: pip install langchain-qdrant, to compare")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_qdrant.py"
        file.write_text(QDRANT, encoding="utf-8")
        for name, (passed, total) in counts([file]).items():
            print(
                f"langchain-qdrant {version('langchain-qdrant')}  {name:31} {passed:3} of {total}"
            )


def counts(files: list[Path]) -> dict[str, tuple[int, int]]:
    """Run test files; return how many tests of each class passed, and how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-W", "default", f"--junitxml={report}"),
                *("-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(REPOSITORY)),
                *map(str, files),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise SystemExit(f"pytest did not run:\n{done.stdout}\n{done.stderr}")
        cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - pytest wrote it
        found: dict[str, tuple[int, int]] = {}
        for case in cases:
            name = case.get("classname", "").rpartition(".")[2]
            passed, total = found.get(name, (0, 0))
            found[name] = passed + (len(case) == 0), total + 1
    return found


if __name__ == "__main__":
    main()
