"""Rank the models at identical rows, and decide."""

from __future__ import annotations

import json

import pandas as pd

from daycast.config import Config
from daycast.core import compare as core
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
    naive, judged = baselines(config), config.backtest
    scored = {t.model: rows(settings, t) for t in tested}
    board = core.leaderboard(
        scored, judge.scales(config, table(settings, config, data), folds.test), judged.metric, judged.series, naive
    )
    decision = core.decide(board, naive, config.promotion.margin, judged.metric)
    key = keys.compare(config, data)
    folder = settings.cache("compare", key)
    folder.mkdir(parents=True, exist_ok=True)
    board.to_csv(folder / BOARD, index=False)
    (folder / DECISION).write_text(json.dumps(decision.to_json(), indent=1))
    return BoardRef(key=key, winner=decision.winner)


def read(settings: Settings, board: BoardRef) -> tuple[pd.DataFrame, core.Decision]:
    """A leaderboard and its decision."""
    folder = settings.cache("compare", board.key)
    decision = core.Decision.from_json(json.loads((folder / DECISION).read_text()))
    return pd.read_csv(folder / BOARD), decision
