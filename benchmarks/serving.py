"""How fast `mlflow models serve` answers with a registered version: latency, and requests per second per core.

    python benchmarks/serving.py tests/golden/0.1.0/gru models:/daycast-cta@champion

The request is the version's stored example. Requests per second per core are requests divided by the CPU seconds of the
server's processes, so that a busy machine, or the client beside it, does not count; latencies are what the client saw.
Figures are in docs/serving.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil
from mlflow.artifacts import download_artifacts

LIMIT_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders, or URIs as MLflow has them")
    parser.add_argument("--requests", type=int, default=200, help="in each measurement, and five per client at least")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 16, 200], help="clients (default 1 16 200)")
    args = parser.parse_args()
    print(f"{cpu()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    lines = []
    for model in args.models:
        folder = Path(download_artifacts(model)) if model.startswith("models:") else Path(model)
        content, rows = request(folder)
        with served(str(folder)) as (server, address):
            for at_once in args.at_once:
                measured = measure(server, address, content, max(args.requests, 5 * at_once), at_once)
                lines.append({"model": Path(model).name, "rows in": rows, "clients": at_once, **measured})
    print(pd.DataFrame(lines).to_string(index=False))


def request(folder: Path) -> tuple[bytes, int]:
    """The version's stored example as a request, and its rows."""
    table = pd.read_parquet(folder / "stored" / "inputs.parquet")
    horizon = int(pd.read_parquet(folder / "stored" / "forecast.parquet")["step"].max())
    told = json.loads(table.to_json(orient="split", date_format="iso", index=False))
    return json.dumps({"dataframe_split": told, "params": {"horizon": horizon}}).encode(), len(table)


def measure(server: psutil.Process, address: str, content: bytes, n: int, at_once: int) -> dict[str, float]:
    """Milliseconds at two percentiles, and requests per second, of the clock and of a core."""
    with httpx.Client(limits=httpx.Limits(max_connections=at_once), timeout=LIMIT_S) as client:

        def ask(_: int) -> float:
            began = time.perf_counter()
            answer = client.post(
                f"{address}/invocations", content=content, headers={"Content-Type": "application/json"}
            )
            answer.raise_for_status()
            return time.perf_counter() - began

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(ask, range(max(20, at_once))))  # warm
            before, began = busy(server), time.perf_counter()
            took = np.array(list(pool.map(ask, range(n)))) * 1000
            clock, cores = time.perf_counter() - began, busy(server) - before
    p50, p99 = np.percentile(took, [50, 99])
    figures = {"p50 ms": p50, "p99 ms": p99, "per s": n / clock, "per s and core": n / cores}
    return {name: round(float(value), 1) for name, value in figures.items()}


def busy(server: psutil.Process) -> float:
    """CPU seconds of the server's processes so far."""
    every = [server, *server.children(recursive=True)]
    return sum(p.cpu_times().user + p.cpu_times().system for p in every)


@contextmanager
def served(model: str) -> Iterator[tuple[psutil.Process, str]]:
    """MLflow's scoring server with the model, of one worker, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-m", "mlflow", *words], env=env, start_new_session=True, **quiet)
    address, began = f"http://127.0.0.1:{port}", time.monotonic()
    try:
        while not answers(address):
            if server.poll() is not None or time.monotonic() - began > LIMIT_S:
                raise SystemExit(f"no server for {model}: try `mlflow {' '.join(words)}`")
            time.sleep(0.5)
        yield psutil.Process(server.pid), address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def answers(address: str) -> bool:
    """Whether the server is up."""
    try:
        return httpx.get(f"{address}/ping").status_code == 200
    except httpx.TransportError:
        return False


def cpu() -> str:
    """The processor's name."""
    named = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().split("\n") if "name" in line]
    return named[0] if named else platform.machine()


if __name__ == "__main__":
    main()
