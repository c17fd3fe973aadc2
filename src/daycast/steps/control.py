"""White noise through the gate: whatever learns must not be promoted over the mean, as there is nothing to learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from daycast import models
from daycast.config.models import Mean
from daycast.config.reproduce import ControlRow
from daycast.config.sections import Trainer
from daycast.core import backtest, compare, content, frame, reproduce, split
from daycast.core.frame import FrameSpec, Table
from daycast.core.split import Fold
from daycast.core.verdict import Decision, Gate
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps.progress import emit
from daycast.steps.published import CODE, REPORT, ROWS, TOLD, learn

START = pd.Timestamp("2000-01-01")  # any: noise knows no calendar
MEAN, METRIC = "mean", "rmse"


@dataclass(frozen=True)
class Controlled:
    """What came of the control.

    Attributes:
        board: the leaderboard by RMSE, every seed of the network a competitor of its own.
        decision: the gate's, with the mean as the only baseline.
        networks: RMSE of each seed.
        own: RMSE of the noise around its true mean, on the same values.
    """

    board: pd.DataFrame
    decision: Decision
    networks: tuple[float, ...]
    own: float

    @property
    def passed(self) -> bool:
        """Whether nothing is promoted over the mean."""
        return self.decision.winner == MEAN


def control(
    settings: Settings, name: str, row: ControlRow, seeds: Sequence[int], gate: Gate, trainer: Trainer
) -> Controlled:
    """Let the networks and the row's models forecast noise one step ahead, and ask the gate.

    Args:
        gate: what the gate asks for.
        trainer: training loop of those of the row's models that are networks.
    """
    values = reproduce.noise(row.seed, row.values)
    days = pd.date_range(START, periods=row.values)
    series = row.targets[0]
    table = frame.table(pd.DataFrame({"unique_id": series, "ds": days, "y": values}), FrameSpec("D", 1))
    at = days[row.train - 1 : -1]
    scored: dict[str, pd.DataFrame] = {}
    for other, model in {MEAN: Mean(family="mean", window=None), **row.models}.items():
        emit("reproduce", name, 0, 1, other)
        made = models.build(model, models.BuildContext(1, 1, seeds[0], trainer))
        fold = Fold("control", None, at[0], at, 1)
        made.fit(split.history(table, fold))
        scored[other] = backtest.with_actuals(backtest.forecasts(made, table, fold), table)
    networks = {f"network, seed {seed}": _network(settings, name, row, table, seed) for seed in seeds}
    board, decision = compare.judge(scored | networks, {series: 1.0}, METRIC, None, {MEAN}, gate)
    emit("reproduce", name, 1, 1, "done")
    by_model = board.set_index("model")[METRIC]
    own = float(np.sqrt(np.mean((values[row.train :] - reproduce.NOISE_MEAN) ** 2)))
    return Controlled(board, decision, tuple(float(by_model[n]) for n in networks), own)


def _network(settings: Settings, name: str, row: ControlRow, table: Table, seed: int) -> pd.DataFrame:
    """The forecasts of one seed with what came, from the cache if it was trained before."""
    days = table.panel.ds

    def make(into: Path) -> None:
        span, asked = (days[0], days[row.train - 1]), (days[row.train - 1 : -1], 1)
        rows, report = learn(table, row, span, asked, seed, f"{name}, seed {seed}")
        rows.to_parquet(into / ROWS)
        (into / REPORT).write_text(json.dumps(report))

    told = row.model_dump(mode="json", exclude={*TOLD, "models"})
    key = content.key("control", content.code(*CODE, "core/reproduce.py"), asdict(table.panel.spec), told, seed)
    folder = settings.cache("reproduce", key)
    kept(folder, make)
    return pd.read_parquet(folder / ROWS)
