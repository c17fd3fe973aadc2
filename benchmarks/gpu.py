"""What docs/gpu.md says of GPUs, measured: the GPU tests, and the station panel trained in each way the trainer knows.

Prints a Markdown table of device, versions and figures. Runs unattended and without a network: the checks first, then
trainings from the most to the least telling, of which none is begun that would not end in time. It needs torch with
CUDA, pytorch-lightning, safetensors, pydantic, pandas, pyarrow, PyYAML and pytest, and daycast's own src/.

    PYTHONPATH=src python benchmarks/gpu.py > gpu.md
    PYTHONPATH=src python benchmarks/gpu.py --data cta_l_station_entries_daily_2001_2016.parquet --minutes 9

Without the file of Chicago's stations, or with --data simulated, it simulates a panel as large. On a machine without a
GPU it measures the CPU alone (and says so), which shows that it works.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = "cta_l_station_entries_daily_2001_2016.parquet"
HORIZON, TESTED = 14, 56  # steps ahead; last timestamps, which no fit sees
LEVELS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
GPU = {"accelerator": "gpu"}
EXACT, FAST = GPU | {"precision": "32-true", "deterministic": True}, GPU


@dataclass(frozen=True)
class Training:
    """One line of the table: changes of conf/trainer/gpu_panel.yaml and of conf/model/gru_panel.yaml, fits at once."""

    name: str
    trainer: dict[str, Any]
    model: dict[str, Any]
    at_once: int = 1


CPU = {"accelerator": "cpu", "precision": "32-true", "deterministic": True, "batch_factor": None}
BUDGET = {"max_steps": 800}
WIDE = {"hidden": 256}
TRAININGS = (
    Training("CPU, float32", CPU, {}),
    Training("GPU, deterministic, float32", EXACT, {}),
    Training("GPU, fast, bf16-mixed (trainer=gpu_panel)", FAST, {}),
    Training("GPU, fast, float32 (TF32)", FAST | {"precision": "32-true"}, {}),
    Training("GPU, fast, batch up to 4 times", FAST | {"batch_factor": 4}, {}),
    Training("GPU, fast, batch up to 16 times", FAST | {"batch_factor": 16}, {}),
    Training("GPU, fast, batch up to 4 times, as many steps", FAST | BUDGET | {"batch_factor": 4}, {}),
    Training("GPU, fast, two fits at once", FAST, {}, 2),
    Training("GPU, fast, four fits at once", FAST, {}, 4),
    Training("GPU, fast, 256 units", FAST, WIDE),
    Training("GPU, fast, 256 units, batch up to 16 times", FAST | {"batch_factor": 16}, WIDE),
    Training("CPU, float32, 256 units", CPU, WIDE),
)


def panel(file: Path | None) -> tuple[Any, str]:
    """The table of the stations, or of as many simulated series of as many days; and which it is."""
    from daycast.core.calendar import fourier, fourier_names
    from daycast.core.frame import FrameSpec, Future, Panel, Table

    if file is None:
        y, names, told = _simulated(), [f"s{i}" for i in range(146)], "SIMULATED, 146 series"
    else:
        rows = pd.read_parquet(file)
        wide = rows.pivot_table(index="station_id", columns="date", values="rides", aggfunc="first")
        wide = wide.reindex(columns=pd.date_range(wide.columns.min(), wide.columns.max()))
        y, names, told = wide.to_numpy(np.float64), [str(i) for i in wide.index], f"Chicago's {len(wide)} stations"
    ds = pd.date_range("2001-01-01", periods=y.shape[1] + HORIZON)
    known = np.concatenate([np.eye(7)[ds.dayofweek], fourier(ds, 3)], axis=1)
    known_names = (*(f"day_of_week={day}" for day in LEVELS), *fourier_names(3))
    spec = FrameSpec("D", 7, {"day_of_week": LEVELS}, fourier=3, floor=0.0)
    steps, none = y.shape[1], np.zeros((len(y), 0))
    history = Panel(
        spec, tuple(names), ds[:steps], y, known[:steps], np.zeros((*y.shape, 0)), none, known_names, (), ()
    )
    return Table(history, Future(ds[steps:], known[steps:], known_names)), f"{told}, {steps} days"


def _simulated() -> np.ndarray:
    rng = np.random.default_rng(0)
    days, level = 5733, np.exp(rng.normal(8, 0.8, (146, 1)))
    shocks = rng.normal(0, 0.05, (146, days))
    for day in range(1, days):
        shocks[:, day] += 0.7 * shocks[:, day - 1]
    week = 1 + rng.uniform(-0.4, 0.2, (146, 7))[:, np.arange(days) % 7]
    return np.rint(level * week * np.exp(shocks) * (1 + 0.1 * np.sin(2 * np.pi * np.arange(days) / 365.25)))


def sections(training: Training) -> tuple[Any, Any]:
    """The model's and the trainer's sections."""
    from daycast.config.recurrent import Recurrent
    from daycast.config.trainer import Trainer

    model = yaml.safe_load((ROOT / "conf/model/gru_panel.yaml").read_text())["gru_panel"] | training.model
    trainer = yaml.safe_load((ROOT / "conf/trainer/gpu_panel.yaml").read_text()) | training.trainer
    return Recurrent.model_validate_json(json.dumps(model)), Trainer.model_validate_json(json.dumps(trainer))


def fitted(training: Training, data: str) -> dict[str, Any]:
    """Fit once on all but the last days, and forecast those from each day that has a whole horizon after it."""
    from daycast.core import split
    from daycast.models.context import BuildContext
    from daycast.models.neural import NeuralForecaster

    table, _ = panel(None if data == "simulated" else Path(data))
    model, trainer = sections(training)
    forecaster = NeuralForecaster(model, BuildContext(HORIZON, 7, 1, trainer))
    ds, ends = table.panel.ds, list[float]()
    torch.set_num_threads(trainer.threads)
    history = table.panel.until(ds[-TESTED - 1])
    windows = forecaster.prepare_windows(history)[1]
    cuda = trainer.accelerator == "gpu"
    begun = time.perf_counter()
    report = forecaster.fit(history, windows, lambda *_: ends.append(time.perf_counter()))
    seconds = time.perf_counter() - begun
    origins = split.origins(table, ds[-TESTED - 1 : -HORIZON], HORIZON)
    begun = time.perf_counter()
    made = forecaster.predict(origins)
    told, came = time.perf_counter() - begun, split.actuals(table, ds[-TESTED - 1 : -HORIZON], HORIZON)
    naive = np.stack([np.tile(o.history.y[:, -7:], 2) for o in origins])
    epochs = np.diff(ends)
    return {
        "seconds": seconds,
        "epoch": float(np.median(epochs)) if len(epochs) else seconds,
        "windows": report.facts["windows"] if trainer.max_steps is None else 0,
        "val_loss": report.facts["best_val_loss"],
        "mae": float(np.nanmean(np.abs(made - came))),
        "naive": float(np.nanmean(np.abs(naive - came))),
        "memory": torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0,
        "forecast": told,
        "facts": {k: v for k, v in report.facts.items() if k in ("device", "batch", "batch_parts", "rate")},
    }


def trained(training: Training, data: str, limit: float) -> list[dict[str, Any]] | str:
    """What each of the fits at once came to, in processes of their own; or why there is nothing."""
    command = [sys.executable, __file__, "--data", data, "--one", str(TRAININGS.index(training))]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(training.at_once)
    ]
    until, found = time.monotonic() + limit, []
    try:
        for process in started:
            out, error = process.communicate(timeout=max(1.0, until - time.monotonic()))
            if process.returncode:
                return f"failed: {(error.splitlines() or ['?'])[-1][:200]}"
            found.append(json.loads(out.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return f"not done in {limit:.0f} s"
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return found


def versions() -> Iterator[tuple[str, str]]:
    """What it was measured on."""
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    found = [f"{p.name}, {p.total_memory / 2**30:.0f} GiB" for p in map(torch.cuda.get_device_properties, gpus)]
    yield "GPU", "; ".join(found) or "none: figures of the CPU alone"
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True, text=True, check=False,
    ) if found else None  # fmt: skip
    yield "driver", driver.stdout.splitlines()[0] if driver and driver.returncode == 0 else "-"
    yield "CUDA, cuDNN", f"{torch.version.cuda or '-'}, {torch.backends.cudnn.version() or '-'}"
    yield "CPU", f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    yield "Python", platform.python_version()
    for name in ("torch", "pytorch-lightning", "numpy", "safetensors"):
        yield name, importlib.metadata.version(name)


def checks(limit: float) -> Iterator[str]:
    """The GPU tests' outcome, and what they measured."""
    if not torch.cuda.is_available():
        yield "GPU tests: not run, there is no GPU."
        return
    # Without the suite's fixtures, which need all of daycast's dependencies.
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "-q", "-s", "-m", "gpu"]
    try:
        done = subprocess.run(
            [*command, "tests/models/test_gpu.py"], cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as late:
        told = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        yield f"GPU tests: not done in {limit:.0f} s."
    else:
        told = done.stdout
        yield f"GPU tests: {told.splitlines()[-1] if told else done.stderr[-500:]}"
        yield from (f"- {line}" for line in told.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED", "E  ")))
    yield from (f"- {line.partition('MEASURED ')[2]}" for line in told.splitlines() if "MEASURED " in line)


def line(training: Training, found: list[dict[str, Any]] | str) -> str:
    """Of the table."""
    if isinstance(found, str):
        return f"| {training.name} | {found} | | | | | | |"
    first, slowest = found[0], max(one["epoch"] for one in found)
    rate = f"{sum(one['windows'] for one in found) / slowest:,.0f}" if first["windows"] else "-"
    facts = first["facts"]
    batch = f"{facts['batch']:,} in {facts['batch_parts']}" if "batch" in facts else "as configured"
    figures = [f"{slowest:.2f}", rate, batch, f"{first['memory']:,.0f}", f"{first['val_loss']:.4f}"]
    return f"| {training.name} | {' | '.join(figures)} | {first['mae']:,.1f} |"


def measured(data: str, minutes: float) -> None:
    """Print everything, as it comes."""
    ends = time.monotonic() + 60 * minutes
    _, told = panel(None if data == "simulated" else Path(data))
    print("| | |\n|---|---|")
    for name, value in (*versions(), ("data", told), ("measured", time.strftime("%Y-%m-%d", time.gmtime()))):
        print(f"| {name} | {value} |", flush=True)
    print("", *checks(0.5 * (ends - time.monotonic())), "", sep="\n", flush=True)
    print("One network of all series (`gru_panel`), 14 days ahead. Of an epoch: seconds, and windows in a second.\n")
    print("| | s | windows/s | batch, parts | GPU MiB | val. loss | MAE |\n|---|---|---|---|---|---|---|", flush=True)
    naive = longest = 0.0
    for training in TRAININGS:
        left = ends - time.monotonic()
        gpu = training.trainer["accelerator"] == "gpu"
        if gpu and not torch.cuda.is_available():
            found: list[dict[str, Any]] | str = "no GPU"
        elif left < 1.2 * longest or left < 20:
            found = "no time left"
        else:
            begun = time.monotonic()
            found = trained(training, data, left)
            longest = max(longest, time.monotonic() - begun) if gpu else longest
        naive = naive if isinstance(found, str) else found[0]["naive"]
        print(line(training, found), flush=True)
    print(f"\nMAE is of the last {TESTED} days, which no fit saw; of last week's values {naive:,.1f}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    places = [ROOT / FILE, Path(os.environ.get("DAYCAST_REAL_DATA") or ROOT.parent / "shared" / "data") / FILE]
    usual = next((str(place) for place in places if place.is_file()), "simulated")
    parser.add_argument("--data", default=usual, help="Parquet file of the stations, or `simulated`")
    parser.add_argument("--minutes", type=float, default=9.0, help="no training is begun that would end later")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # this training, in this process
    args = parser.parse_args()
    if args.one is None:
        measured(args.data, args.minutes)
    else:
        print(json.dumps(fitted(TRAININGS[args.one], args.data)))


if __name__ == "__main__":
    main()
