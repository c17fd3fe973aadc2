"""A real PostgreSQL of its own, from the system's package, on a free port of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def server() -> Iterator[str]:
    """SQLAlchemy URL of an empty database; the server and its files are gone afterwards."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        pytest.skip("PostgreSQL is not installed: `apt-get install postgresql`")
    # The server refuses to run as root, so the superuser lends it the package's own user.
    owner: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="daycast-postgres-"))
    if owner:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, run = folder / "data", binaries[-1]
    secret = folder / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    setup = [run / "initdb", "-D", data, "-U", "daycast", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync"]
    subprocess.run(setup, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)
    command = [run / "postgres", "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "-F"], stdout=log, stderr=log, cwd=folder, **owner)
    try:
        ready = [run / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(300):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg2://daycast:secret@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # "fast": SIGTERM would wait for every client to go first
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)
