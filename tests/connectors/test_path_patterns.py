"""Path patterns of a folder source."""

import pytest

from connectors.globs import PathPatterns


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.md", "a.md", True),
        ("*.md", "docs/deep/a.md", True),
        ("*.md", "a.mdx", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/deep/a.md", False),
        ("docs/**/*.md", "docs/a.md", True),
        ("docs/**/*.md", "docs/deep/er/a.md", True),
        ("/a.md", "a.md", True),
        ("/a.md", "docs/a.md", False),
        ("drafts", "docs/drafts/a.md", True),
        ("drafts/", "docs/drafts/a.md", True),
        ("docs/**", "docs/deep/a.md", True),
        ("report-?.txt", "report-1.txt", True),
        ("report-?.txt", "report-10.txt", False),
        ("report-[12].txt", "report-2.txt", True),
        ("report-[!12].txt", "report-2.txt", False),
        ("report-[!12].txt", "report-3.txt", True),
        ("a+(b).txt", "a+(b).txt", True),
    ],
)
def test_a_pattern_matches_as_in_gitignore(pattern: str, path: str, matches: bool) -> None:
    assert PathPatterns.compile([pattern]).match(path) is matches


@pytest.mark.parametrize("pattern", ["", "/", "[z-a]"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="path pattern"):
        PathPatterns.compile([pattern])
