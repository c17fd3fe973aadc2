"""Time and memory of the whole path, command by command, for panels of many daily series.

Simulates a panel as a raw Parquet file, brings it into a project folder of its own as a user would, and runs daycast's
commands on it, each in a process of its own: ingest, validate, prepare, backtest of the seasonal naive, then of one
global GRU with a fixed number of training steps, the whole job (which finds both and compares, registers, promotes and
forecasts), and a forecast. Memory is what all processes of a command have of their own at once (RssAnon of /proc,
looked at twice a second): pages of mapped files can be dropped at any time.

    python benchmarks/scale.py                                    # 1,000, 10,000 and 100,000 series of 3 years
    python benchmarks/scale.py --series 1000 --ets 1000           # AutoETS besides
    python benchmarks/scale.py --series 1000 --ets 1000 --workers 1 2    # on Dask, with one worker and with two
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = (
    *(".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "data/.gitignore", "dvc.yaml", "prefect.yaml"),
    *("conf", "src", "flows"),
)
PART, LOOK_S, MB, HORIZON = 1000, 0.5, 2**20, 14
ETS = "AutoETS"
GIVEN = ["dataset=panel", "backtest.n_targets=28", "backtest.fold_targets=28", "backtest.n_folds=1"]
GIVEN += [f"backtest.horizon={HORIZON}", "tuning=none", "trainer=budget"]
DATASET = """
name: panel
title: SIMULATED, many series
simulated: false
unit: pieces
source: {kind: file, path: data/inbox/panel.parquet}
read: {format: parquet, time: date, time_format: null, series: null, id: item, value: sold}
freq: D
timezone: UTC
season_length: 7
floor: 0.0
contract:
  columns:
    item: {type: str}
    date: {type: date}
    sold: {type: int, min: 0}
  identities: []
  gaps: missing
  day_type: null
  max_age_days: null
  flag_below: null
calendar:
  {country: null, subdivision: null, sunday_service: {}, events: [], regimes: [], fourier: 2, future_steps: 28}
covariates:
  known: {day_of_week: [Mon, Tue, Wed, Thu, Fri, Sat, Sun]}
  past: []
  static: {}
"""


def simulated(file: Path, series: int, days: int) -> None:
    """Counts with a level, a week, a year and a slow drift of each series' own; some begin late, some have a hole."""
    import pyarrow
    from pyarrow import parquet

    rng, writer = np.random.default_rng(0), None
    ds = pd.date_range("2021-01-01", periods=days)
    year = 2 * np.pi * ds.dayofyear.to_numpy() / 365.25
    for first in range(0, series, PART):
        n = min(PART, series - first)
        log = rng.normal(3.5, 1.0, (n, 1)) + rng.normal(0, 0.3, (n, 7))[:, np.arange(days) % 7]
        log = log + rng.normal(0, 0.3, (n, 1)) * np.sin(year + rng.uniform(0, 2 * np.pi, (n, 1)))
        log = log + np.cumsum(rng.normal(0, 0.01, (n, days)), axis=1)
        kept = np.ones((n, days), dtype=bool)
        kept[::10, : days // 3] = False
        kept[5::10, days // 2 : days // 2 + 20] = False
        made = rng.poisson(np.exp(np.minimum(log, 9.0)))[kept]
        names = np.repeat(np.array([f"item{i:07d}" for i in range(first, first + n)]), days)[kept.ravel()]
        rows = {"item": names, "date": np.tile(ds.date, n)[kept.ravel()], "sold": made}
        table = pyarrow.table(rows)
        writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def project(root: Path, series: int, days: int) -> Path:
    """A project folder that knows the dataset ``panel``; the raw file."""
    for name in SHIPPED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, root / name)
    (root / "conf/dataset/panel.yaml").write_text(DATASET)
    stages = yaml.safe_load((root / "dvc.yaml").read_text())
    for stage in stages["stages"].values():
        stage["matrix"]["dataset"] = ["panel"]
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "panel"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    file = root / "panel.parquet"
    simulated(file, series, days)
    return file


def own(process: psutil.Process) -> int:
    """Bytes of memory that are a process' own and those of all below it."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            status = Path(f"/proc/{one.pid}/status").read_text()
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))
    return total


def run(root: Path, words: list[str]) -> dict[str, Any]:
    """One command: seconds, bytes, and the document it prints."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DAYCAST_", "MLFLOW_", "PREFECT_"))}
    env |= {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "DAYCAST_ROOT": str(root)}
    begun, most, done = time.perf_counter(), 0, threading.Event()
    with tempfile.TemporaryFile("w+") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "daycast", *words, "--json", "--quiet"], cwd=root, env=env, stdout=out, text=True
        )
        process = psutil.Process(started.pid)

        def look() -> None:
            nonlocal most
            while not done.wait(LOOK_S):
                try:
                    most = max(most, own(process))
                except psutil.NoSuchProcess:
                    return

        watcher = threading.Thread(target=look)
        watcher.start()
        code = started.wait()
        done.set()
        watcher.join()
        out.seek(0)
        said = out.read()
    if code:
        raise SystemExit(f"daycast {' '.join(words)} ended with {code}")
    return {"seconds": time.perf_counter() - begun, "bytes": most, "told": json.loads(said)}


def measure(root: Path, series: int, args: argparse.Namespace) -> None:
    file = project(root, series, args.days)
    budget = [f"trainer.max_steps={args.steps}", "trainer.max_epochs=2", "trainer.patience=2"]
    both = [*GIVEN, *budget, "model=[seasonal_naive,gru_panel]"]
    steps: list[tuple[str, list[str]]] = [
        ("ingest", ["ingest", "dataset=panel", "--from", str(file)]),
        ("validate", ["validate", "dataset=panel"]),
        ("prepare", ["prepare", "dataset=panel"]),
        ("seasonal naive", ["backtest", *GIVEN, "model=[seasonal_naive]"]),
        ("global GRU", ["backtest", *both]),
        ("run", ["run", *both]),
        ("forecast", ["forecast", *both, "--horizon", str(HORIZON)]),
    ]
    if series in args.ets:
        for workers in args.workers or [0]:
            runner = ["runner=dask", f"runner.workers={workers}"] if workers else []
            given = [*GIVEN, *runner, "model=[seasonal_naive,auto_ets]"]
            steps.append((f"{ETS}, {workers or 'no'} workers", ["backtest", *given]))
    for name, words in steps:
        if name.startswith(ETS):
            shutil.rmtree(root / ".daycast/cache")  # so that nothing is found made
        took = run(root, words)
        record = {"series": series, "command": name, "seconds": took["seconds"], "bytes": took["bytes"]}
        if args.json:
            print(json.dumps(record | {"told": took["told"]}), flush=True)
            continue
        each = f"{took['seconds'] / series * 1000:10.2f} {took['bytes'] / series / 1024:12.1f}"
        print(f"{series:8,d} {name:22s} {took['seconds']:9.1f} {took['bytes'] / MB:9,.0f} {each}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--days", type=int, default=1096)
    parser.add_argument("--steps", type=int, default=400, help="training steps of the network, an even number")
    parser.add_argument("--ets", type=int, nargs="*", default=[], help="numbers of series with which AutoETS runs too")
    parser.add_argument("--workers", type=int, nargs="*", default=[], help="AutoETS on Dask, with so many workers")
    parser.add_argument("--folder", type=Path, help="where projects are made, and stay")
    parser.add_argument("--json", action="store_true", help="a JSON document for each command")
    args = parser.parse_args()
    if not args.json:
        print(
            f"{'series':>8s} {'command':22s} {'seconds':>9s} {'own, MB':>9s} {'ms/series':>10s} {'own KB/series':>12s}"
        )
    for series in args.series:
        with tempfile.TemporaryDirectory(prefix="daycast-scale-") as room:
            root = Path(room) if args.folder is None else args.folder / str(series)
            measure(root, series, args)


if __name__ == "__main__":
    main()
