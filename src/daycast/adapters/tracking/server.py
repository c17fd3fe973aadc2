"""MLflow's own server, with its UI, on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from daycast.adapters.mlflow_client import begin
from daycast.adapters.tracking.experiments import Tracking
from daycast.errors import ToolError

# Its job processes (for evaluation by language models) are seven more that nobody needs here.
SERVER_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def server_command(tracking: Tracking, port: int) -> list[str]:
    """Command of a lean server on ``127.0.0.1:port``, over the embedded database and its folder of artifacts.

    The database is there when this returns: a server that was killed while it made one would never start again.
    """
    begin(tracking.uri)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking.uri, "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    # Artifacts are files of this machine either way, so what was made with the server is read without it, and back.
    return command + (["--default-artifact-root", tracking.artifacts.as_uri()] if tracking.artifacts else [])


def serve_ui(tracking: Tracking, port: int) -> None:
    """Serve the UI on ``127.0.0.1:port`` until interrupted; its processes end with this one.

    Raises:
        ToolError: MLflow did not start, because the port is taken for example.
    """
    environment = os.environ | SERVER_ENVIRONMENT
    process = subprocess.Popen(server_command(tracking, port), env=environment, start_new_session=True)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
    if code:
        raise ToolError(
            f"MLflow's UI on port {port}",
            f"exit code {code}",
            f"see the lines above; another port: `daycast ui --port {port + 1}`",
        )
