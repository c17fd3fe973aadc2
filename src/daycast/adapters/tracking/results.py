"""What is recorded, and its form in MLflow's terms."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

LONGEST_VALUE = 500  # characters of a parameter kept; MLflow refuses more than 6000, and people read far fewer


@dataclass(frozen=True)
class Results:
    """What a run found.

    Attributes:
        params: name -> value; one of more than 500 characters goes to an artifact ``params/<name>.txt``.
        metrics: name -> value.
        curves: name -> one value an epoch; MLflow's step is the epoch, from 1.
        by_step: name -> horizon step -> value; logged as ``<name>_by_step``, MLflow's step is the horizon step.
        artifacts: path inside the run -> a file or folder (``Path``), or the text itself (``str``).
        tables: name -> rows; logged as ``<name>.csv``, and as ``<name>.json``, which MLflow shows as a table (with four
            decimals, for people).
        note: what the run came to, in Markdown; MLflow shows it as the run's description.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    by_step: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    artifacts: Mapping[str, Path | str] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    note: str = ""


class Trial(Protocol):
    """A trial of a search; ``state`` is ``complete``, ``pruned`` or ``failed``, ``curve`` is value by epoch."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def value(self) -> float | None: ...
    @property
    def curve(self) -> Mapping[int, float]: ...


def points(name: str, values: Mapping[int, float], at: int) -> list[Metric]:
    """A metric's values by step.

    All carry the run's start as their time: MLflow drops a second value of equal name, step, time and value, so that
    logging again after a kill leaves no doubles. An infinite value becomes NaN; MLflow would store it as 1.8e308.
    """
    from mlflow.entities import Metric

    return [Metric(name, float(v) if math.isfinite(v) else math.nan, at, int(s)) for s, v in values.items()]


def metrics(results: Results, at: int) -> list[Metric]:
    """All values of a run that started at ``at``, milliseconds since 1970 UTC."""
    every = {name: {0: value} for name, value in results.metrics.items()}
    every |= {name: dict(enumerate(values, start=1)) for name, values in results.curves.items()}
    every |= {f"{name}_by_step": dict(values) for name, values in results.by_step.items()}
    return [point for name, values in every.items() for point in points(name, values, at)]


def params(values: Mapping[str, Any], known: Mapping[str, str]) -> tuple[list[Param], dict[str, str]]:
    """Parameters the run does not have yet (MLflow refuses a change), and the texts of those too long to be one."""
    from mlflow.entities import Param

    texts = {n: v if isinstance(v, str) else json.dumps(v, default=str) for n, v in values.items() if n not in known}
    long = {n: t for n, t in texts.items() if len(t) > LONGEST_VALUE}
    shown = {n: f"{t[:100]}… (all of it in params/{n}.txt)" if n in long else t for n, t in texts.items()}
    return [Param(n, t) for n, t in shown.items()], {f"params/{n}.txt": t for n, t in long.items()}


def lay_out(folder: Path, artifacts: Mapping[str, Path | str], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write artifacts and tables below ``folder`` as they shall lie in the run, so that one upload takes them all."""
    for path, content in artifacts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content, encoding="utf-8")
        elif content.is_dir():
            shutil.copytree(content, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(content, target)
    for name, rows in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows.to_json(folder / f"{name}.json", orient="split", index=False, date_format="iso", double_precision=4)
        rows.to_csv(folder / f"{name}.csv", index=False)
