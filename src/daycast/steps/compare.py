"""Rank the models at identical rows, and decide."""

from __future__ import annotations

import json

import pandas as pd

from daycast.config import Config
from daycast.core import compare as core
from daycast.core.verdict import Decision
from daycast.settings import Settings
from daycast.steps import judge, keys
from daycast.steps.backtest import ROWS
from daycast.steps.data import table
from daycast.steps.reference import BacktestRef, BoardRef, DataRef, FoldsRef

BOARD, DECISION = "leaderboard.csv", "decision.json"


def baselines(config: Config) -> set[str]:
    """Names of the naive models of a run."""
    return {name for name, model in config.model.items() if model.baseline}


def rows(settings: Settings, tested: BacktestRef) -> pd.DataFrame:
    """A model's forecasts of the test fold with bands and what came, raw units."""
    return pd.read_parquet(settings.cache("backtest", tested.key) / ROWS)


def compare(settings: Settings, config: Config, data: DataRef, folds: FoldsRef, tested: list[BacktestRef]) -> BoardRef:
    """The leaderboard and the decision on it; leaves ``leaderboard.csv`` and ``decision.json``."""
    judged, gate = config.backtest, config.promotion.gate()
    scored = {t.model: rows(settings, t) for t in tested}
    scales = judge.scales(config, table(settings, config, data), folds.test)
    board, decision = core.judge(scored, scales, judged.metric, judged.series, baselines(config), gate)
    key = keys.compare(config, data)
    folder = settings.cache("compare", key)
    folder.mkdir(parents=True, exist_ok=True)
    board.to_csv(folder / BOARD, index=False)
    (folder / DECISION).write_text(json.dumps(decision.to_json(), indent=1))
    return BoardRef(key=key, winner=decision.winner)


def read(settings: Settings, board: BoardRef) -> tuple[pd.DataFrame, Decision]:
    """A leaderboard and its decision."""
    folder = settings.cache("compare", board.key)
    decision = Decision.from_json(json.loads((folder / DECISION).read_text()))
    return pd.read_csv(folder / BOARD), decision
