"""Notice when a user's file hides one of our packages.

Our package names are plain words, so a ``retriever.py`` beside the user's script would be
imported in place of ours and fail far from the cause.
"""

import importlib.util
from pathlib import Path

PACKAGES = ("adapters_training", "connectors", "encoder", "indexing", "retriever")


def check_packages_are_ours() -> None:
    """Check that every package we import is the one that was installed with this one.

    Raises:
        ImportError: naming the file that hides a package, and what to do.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if found == home / name / "__init__.py":
            continue
        if spec is None:
            raise ImportError(f"Argot's package `{name}` is missing in {home}; install it again")
        # A folder without __init__.py has no origin, but it has a place.
        hiding = found or next(iter(spec.submodule_search_locations or ["an unknown place"]))
        raise ImportError(
            f"Argot needs its own package `{name}` from {home}, but Python finds {hiding} first\n"
            "hint: rename that file or folder, or start Python from another folder"
        )
