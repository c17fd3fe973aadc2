"""Memory of training and forecasting one global network, stage by stage, at several numbers of series.

Simulates a panel of daily series as a canonical Parquet file, and takes it through the pipeline's own steps with a
fixed budget of training steps. Each size runs in a process of its own. What counts is memory of the process' own
(RssAnon of /proc, looked at every 2 ms, above what was there before the stage): pages of mapped files can be dropped at
any time. Beside it the most that Python and NumPy had allocated at once.

    python benchmarks/streaming.py                             # 1,000, 4,000 and 16,000 series of 3 years
    python benchmarks/streaming.py --series 1000 100000 --steps 200
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
AHEAD, LOOK_S, PART, MB = 28, 0.002, 500, 2**20


def simulated(file: Path, series: int, days: int) -> None:
    """A canonical file: weekly patterns with noise, some series that begin late, some with a hole."""
    import pyarrow
    from pyarrow import parquet

    rng, writer = np.random.default_rng(0), None
    ds = pd.date_range("2021-01-01", periods=days + AHEAD)
    for first in range(0, series, PART):
        n = min(PART, series - first)
        y = 200 + rng.uniform(-50, 50, (n, 7))[:, np.arange(len(ds)) % 7] + rng.normal(0, 10, (n, len(ds)))
        y[::10, : days // 3] = np.nan
        y[5::10, days // 2 : days // 2 + 20] = np.nan
        y[:, days:] = np.nan
        names = np.repeat([f"s{i:07d}" for i in range(first, first + n)], len(ds))
        days_of_week = np.tile(np.array(DAYS)[ds.dayofweek], n)
        rows = {"unique_id": names, "ds": np.tile(ds, n), "y": y.ravel(), "day_of_week": days_of_week}
        table = pyarrow.Table.from_pandas(pd.DataFrame(rows), preserve_index=False).replace_schema_metadata(None)
        writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def project(root: Path, series: int, days: int) -> str:
    """A project folder with the simulated panel as its dataset ``panel``; the version of the data."""
    shutil.copytree(ROOT / "conf", root / "conf")
    told = yaml.safe_load((root / "conf/dataset/cta_stations.yaml").read_text())
    told |= {"name": "panel", "title": "SIMULATED, many series", "simulated": True}
    told["calendar"] |= {"events": []}
    told["covariates"] = {"known": {"day_of_week": list(DAYS)}, "past": [], "static": {}}
    (root / "conf/dataset/panel.yaml").write_text(yaml.safe_dump(told))
    made = root / "panel.parquet"
    simulated(made, series, days)
    with made.open("rb") as file:
        version = hashlib.file_digest(file, "md5").hexdigest()
    place = root / ".dvc/cache/files/md5" / version[:2] / version[2:]
    place.parent.mkdir(parents=True)
    made.rename(place)
    return version


def own() -> int:
    """Bytes of memory that are this process' own."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


class Stages:
    """Runs stages, and keeps what each took."""

    def __init__(self, series: int) -> None:
        self.series = series
        self.taken: dict[str, dict[str, float]] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        before, most, done = own(), 0, threading.Event()

        def look() -> None:
            nonlocal most
            while not done.wait(LOOK_S):
                most = max(most, own())

        watcher = threading.Thread(target=look)
        tracemalloc.reset_peak()
        held, begun = tracemalloc.get_traced_memory()[0], time.perf_counter()
        watcher.start()
        try:
            return work()
        finally:
            done.set()
            watcher.join()
            taken = {"own": max(most, own()) - before, "traced": tracemalloc.get_traced_memory()[1] - held}
            self.taken[name] = taken | {"seconds": time.perf_counter() - begun}


def measure(root: Path, series: int, days: int, steps: int, listed: int | None) -> dict[str, Any]:
    """Take one panel through the steps; bytes and seconds of each."""
    version = project(root, series, days)
    from daycast import models, settings
    from daycast.config import compose
    from daycast.core import backtest, forecast, split
    from daycast.models import batches, module, neural  # noqa: F401 - their memory is no stage's
    from daycast.steps import data, fit, transform, window
    from daycast.steps.reference import DataRef, FoldRef, FoldsRef, TunedRef

    os.environ["DAYCAST_ROOT"] = str(root)
    (root / "dvc.yaml").touch()
    here = settings.load()
    batches.LISTED = listed or batches.LISTED
    given = ["dataset=panel", "model=[seasonal_naive,gru_panel]", "trainer=budget", f"trainer.max_steps={steps}"]
    given += ["trainer.max_epochs=2", "trainer.patience=2", "trainer.validation_windows=5000", "tuning=none"]
    given += ["tuning.seeds=1", "backtest.n_targets=14", "backtest.horizon=14", "backtest.fold_targets=14"]
    config, ref = compose(root, given), DataRef(dataset="panel", version=version, pointers={})
    tracemalloc.start()
    stages = Stages(series)
    table = stages.run("table", lambda: data.table(here, config, ref))
    folds = split.split(table.panel, config.backtest.plan())
    fold, model = FoldRef.of(folds.test), config.model["gru_panel"]
    stages.run("transform", lambda: transform.arrays(here, config, ref, fold, model))
    found = stages.run("window", lambda: window.load_windows(here, config, ref, fold, model))
    tuned = TunedRef(model="gru_panel", key="", study=None, trial=0, parameters={}, value=0, n_trials=0, n_pruned=0)
    refs = FoldsRef(validation=(), test=fold, n_series=series)
    made = stages.run("fit", lambda: fit.fit(here, config, ref, refs, tuned))
    forecaster = models.load(here.cache("fit", made.key) / fit.MODEL)
    origins = split.origins(table, folds.test.cutoffs, 14)
    out = stages.run("forecast", lambda: forecast.predict(forecaster, origins))
    assert out.shape == (1, series, 14)
    assert np.isfinite(out).all()
    rows = stages.run("rows", lambda: backtest.forecasts(forecaster, table, folds.test))
    assert len(rows) == series * 14
    return {"series": series, "days": days, "windows": len(found), "stages": stages.taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1000, 4000, 16_000])
    parser.add_argument("--days", type=int, default=1096)
    parser.add_argument("--steps", type=int, default=40, help="training steps, an even number")
    parser.add_argument("--listed", type=int, help="windows up to which their order is a list (batches.LISTED)")
    parser.add_argument("--json", action="store_true", help="a JSON document for each size")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in this process
    args = parser.parse_args()
    if args.one:
        with tempfile.TemporaryDirectory(prefix="daycast-streaming-") as name:
            print(json.dumps(measure(Path(name), args.series[0], args.days, args.steps, args.listed)))
        return
    if not args.json:
        print(f"{'':8s} {'':10s} {'own, MB':>9s} {'traced, MB':>10s} {'own, bytes a series':>20s} {'seconds':>8s}")
    for series in args.series:
        asked = ["--one", "--series", series, "--days", args.days, "--steps", args.steps]
        asked += ["--listed", args.listed] if args.listed else []
        command = [sys.executable, __file__, *map(str, asked)]
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        if args.json:
            print(made, flush=True)
            continue
        for stage, taken in json.loads(made)["stages"].items():
            figures = f"{taken['own'] / MB:9.1f} {taken['traced'] / MB:10.1f} {taken['own'] / series:20,.0f}"
            print(f"{series:8,d} {stage:10s} {figures} {taken['seconds']:8.1f}", flush=True)


if __name__ == "__main__":
    main()
