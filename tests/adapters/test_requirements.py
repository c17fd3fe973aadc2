"""A version loads and forecasts with its own requirements alone: of all else that is installed, nothing is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from daycast.adapters.registry import TOLERANCE
from tests.golden import make

RELEASE = sorted(Path(make.__file__).parent.glob("[0-9]*"))[-1]
# Refuses every import but of the standard library, daycast, and the packages named; then loads versions and forecasts.
ALONE = """
import importlib.abc, json, sys
told = json.load(sys.stdin)
allowed = set(told["packages"]) | set(sys.stdlib_module_names) | {"daycast"}

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refusing())
import mlflow.pyfunc, pandas as pd
for folder in told["folders"]:
    table, expected = (pd.read_parquet(f"{folder}/stored/{name}.parquet") for name in ("inputs", "forecast"))
    rows = mlflow.pyfunc.load_model(folder).predict(table, params={"horizon": 3})
    worst = (rows["y_hat"] / expected["y_hat"] - 1).abs().max()
    print(json.dumps({"folder": folder, "worst": worst, "rows": len(rows)}))
print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})))
"""
NOT_NEEDED = {"prefect", "hydra", "omegaconf", "optuna", "dvc", "great_expectations", "pytorch_lightning"}


def closure(names: list[str]) -> set[str]:
    """Importable packages of these requirements and of all that they require."""
    found: set[str] = set()
    left = [Requirement(name) for name in names]
    while left:
        one = left.pop()
        name = one.name.lower().replace("_", "-")
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        try:
            needs = distribution(one.name).requires or []
        except PackageNotFoundError:  # of another system
            continue
        found.add(name)
        left += [Requirement(text) for text in needs]
    return {m for m, of in packages_distributions().items() if {d.lower().replace("_", "-") for d in of} & found}


def by_requirements() -> dict[tuple[str, ...], list[str]]:
    """The golden versions of the newest release, by what they require beside daycast."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for folder in sorted(RELEASE.iterdir()):
        lines = (folder / "requirements.txt").read_text().split()
        found[tuple(sorted(line for line in lines if not line.startswith("daycast")))].append(str(folder))
    return found


@pytest.mark.parametrize("required", by_requirements(), ids=lambda told: " ".join(line.split("=")[0] for line in told))
def test_it_loads_and_forecasts_where_nothing_else_can_be_imported(required: tuple[str, ...]) -> None:
    packages, folders = closure([*required]), by_requirements()[required]
    assert not packages & NOT_NEEDED
    told = json.dumps({"packages": sorted(packages), "folders": folders})
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", ALONE], input=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    *forecasts, loaded = map(json.loads, done.stdout.splitlines())
    assert [f["folder"] for f in forecasts] == folders
    assert [(f["rows"], f["worst"] < TOLERANCE) for f in forecasts] == [(6, True)] * len(folders)
    assert not set(loaded) & NOT_NEEDED
    assert ("torch" in loaded) == any(line.startswith("torch") for line in required)
