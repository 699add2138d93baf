"""A process that runs one call after another for `indexing.sync.isolation`: CONNECTION TIMEOUT."""

import contextlib
import faulthandler
import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

GRACE_SECONDS = 30.0
"""After the timeout whoever asked has long ended this process, if it still lives itself."""


def serve(connection: Connection, *, timeout_seconds: float) -> None:
    """Answer calls until nobody asks any more."""
    with contextlib.suppress(EOFError, OSError), Path(os.devnull).open("w") as nowhere:
        while True:
            pickled = connection.recv_bytes()
            faulthandler.dump_traceback_later(
                timeout_seconds + GRACE_SECONDS, exit=True, file=nowhere
            )
            answer = _answer(pickled)
            faulthandler.cancel_dump_traceback_later()
            connection.send_bytes(answer)


def _answer(pickled: bytes) -> bytes:
    try:
        call = pickle.loads(pickled)  # noqa: S301 - from the process that started this one
    except Exception as error:  # noqa: BLE001 - a class of the user's main script, which is not here
        return pickle.dumps(("unknown", str(error)))
    try:
        return pickle.dumps(("done", call()))
    except Exception as error:  # noqa: BLE001 - handed back
        return _raised(error)


def _raised(error: Exception) -> bytes:
    answer: Any = ("raised", error)
    try:
        pickled = pickle.dumps(answer)
        pickle.loads(pickled)  # noqa: S301 - an exception may be written and not be read again
    except Exception:  # noqa: BLE001 - then its text must do
        return pickle.dumps(("raised", RuntimeError(f"{type(error).__name__}: {error}")))
    return pickled


def main() -> None:
    """Serve on the inherited connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent acts
    with contextlib.suppress(OSError):
        # Where memory runs out, the kernel ends this process and not the run.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    serve(Connection(int(sys.argv[1])), timeout_seconds=float(sys.argv[2]))


if __name__ == "__main__":
    main()
