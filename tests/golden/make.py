"""Write tiny registered versions of every family with this release's code, for later releases to load and repeat.

    python -m tests.golden.make

They go to ``tests/golden/<version of daycast>/<name>/``. What is there stays: of a release that is out, nothing is made
again. Each is what ``daycast run`` registers, on simulated days: forecaster, serving code, input and forecast.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from mlflow.entities import LoggedModel
from pydantic import TypeAdapter

from daycast import config, models
from daycast.adapters.registry import Candidate, Example
from daycast.adapters.registry.package import write
from daycast.core.frame import FrameSpec, Panel, table
from daycast.steps import register, serving

GOLDEN = Path(__file__).parent
CONF = GOLDEN.parents[1] / "conf"
DAYS, DAY_TYPES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), ("W", "A", "U")
SPEC = FrameSpec("D", 7, {"day_of_week": DAYS, "day_type": DAY_TYPES, "holiday": None}, floor=0.0)
IDS, HORIZON, STEPS = ("bus", "rail"), 3, 450
LEVELS = ("q0.1", "q0.5", "q0.9")

NETWORK = {"hidden": 4, "lookback": 14, "search": {}}
TREES = {"rounds": 5, "bags": 2, "leaves": 4, "search": {}}
ARIMA = {"known": ["holiday"], "train_steps": 90, "search": {}}
MADE: dict[str, dict[str, Any]] = {  # shipped model -> what makes it small
    "naive": {},
    "mean": {},
    "seasonal_naive": {},
    "day_type_naive": {},
    "sarima": ARIMA | {"order": [1, 0, 0], "seasonal_order": [0, 1, 0]},
    "auto_arima": ARIMA,
    "auto_ets": {"train_steps": 90},
    "mstl": {"season_lengths": [7, 28], "train_steps": 120},
    "linear": {"search": {}},
    "lightgbm": TREES,
    "gru": NETWORK,
    "gru_quantiles": NETWORK,
    "gru_profile": NETWORK,
    "gru_panel": NETWORK | {"embedding": 2},
    "seq2seq": NETWORK,
    "conv_gru": NETWORK,
    "wavenet": {
        "front": {"kind": "dilated", "filters": 8, "kernel": 3, "dilations": [1, 4]},
        "hidden": 4,
        "search": {},
    },
    "blend": {"members": ["gru", "lightgbm", "seasonal_naive"]},
}
SEEDS = {"gru": 2}  # networks that are averaged
HEADED = ("gru_quantiles",)  # quantiles of their own


def frame() -> pd.DataFrame:
    """Two simulated series with a week and a year in them, observed for ``STEPS`` days and known for 28 more."""
    ds = pd.date_range("2022-01-03", periods=STEPS + 28)
    rng, parts = np.random.default_rng(7), []
    holiday = np.isin(np.arange(len(ds)) % 91, (45,))
    kind = np.where(holiday | (ds.dayofweek == 6), "U", np.where(ds.dayofweek == 5, "A", "W"))
    for name, level in zip(IDS, (900.0, 400.0), strict=True):
        mean = level * (1 + 0.1 * np.sin(np.arange(len(ds)) / 58)) * np.where(kind == "W", 1.0, 0.6)
        y = np.round(mean + rng.normal(0, 0.02 * level, len(ds)))
        parts.append(
            pd.DataFrame(
                {
                    "unique_id": name,
                    "ds": ds,
                    "y": np.where(np.arange(len(ds)) < STEPS, y, np.nan),
                    "day_of_week": np.asarray(DAYS)[ds.dayofweek],
                    "day_type": kind,
                    "holiday": holiday.astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def section(name: str) -> Any:
    """A model as shipped, made small."""
    told = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text())[name]
    return TypeAdapter(config.Model).validate_json(json.dumps({**told, **MADE[name]}))


def fitted(name: str, panel: Panel) -> Any:
    """A forecaster of two epochs, if it has any."""
    told = yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())
    trainer = config.Trainer.model_validate_json(json.dumps({**told, "max_epochs": 2, "validation_steps": 30}))
    model = models.build(section(name), models.BuildContext(HORIZON, 7, 0, trainer), SEEDS.get(name, 1))
    if name == "blend":
        members = [fitted(member, panel) for member in MADE[name]["members"]]
        model.join(members, np.asarray([[0.5] * HORIZON, [0.3] * HORIZON, [0.2] * HORIZON]))  # type: ignore[attr-defined]
    else:
        model.fit(panel)
    return model


def make(name: str, into: Path) -> None:
    """Write a version into the folder. The working directory is one that may be written to."""
    whole = frame()
    panel = table(whole, SPEC).panel
    models.save(fitted(name, panel), Path("model"))
    index = pd.MultiIndex.from_product([IDS, range(1, HORIZON + 1)], names=["unique_id", "step"])
    offsets = pd.DataFrame(dict(zip(LEVELS, (-9.0, 0.0, 9.0), strict=True)), index=index)
    told = serving.write(Path("serving.json"), SPEC, IDS, offsets, headed=name in HEADED)
    served = serving.read(Path("model"), told)
    since = panel.ds[-served.forecaster.min_history - SPEC.season_length]
    inputs = serving.inputs(whole[whole["ds"] >= since], SPEC, panel.cutoff, HORIZON)
    family = section(name).family
    libraries = {
        lib for n in MADE[name].get("members", [name]) for lib in register.LIBRARIES.get(section(n).family, ())
    }
    candidate = Candidate(
        register.CODE,
        {"forecaster": Path("model"), "serving": told},  # relative: the version says where its files came from
        Example(inputs, HORIZON, serving.forecast(served, inputs, HORIZON)),
        tuple(sorted(libraries)),
        f"{name}, of family {family}",
    )
    write(into, candidate, LoggedModel("0", f"m-{name}", name, f"golden/{name}", 0, 0), "golden")
    entry = into / "MLmodel"  # of the code's path only its name is read, and the rest is this machine's
    entry.write_text(entry.read_text().replace(str(register.CODE), register.CODE.name))


def main() -> int:
    release = GOLDEN / version("daycast")
    for name in MADE:
        if (release / name).exists():
            sys.stdout.write(f"{name} is there already, and stays\n")
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            make(name, release / name)
        sys.stdout.write(f"{name} made\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
