"""Pictures: written, readable as PNG, and showing something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from daycast.adapters import report

DS = pd.date_range("2024-01-01", periods=60)


def rows(ids: tuple[str, ...] = ("bus", "rail"), every: int = 1) -> pd.DataFrame:
    """Forecasts 1 and 7 ahead of weekly waves, from every ``every``-th origin."""
    wave = 5e5 + 2e5 * np.sin(np.arange(60) * 2 * np.pi / 7)
    parts = []
    for name in ids:
        for step in (1, 7):
            cutoff = DS - pd.Timedelta(days=step)
            values = {"cutoff": cutoff, "ds": DS, "step": step, "y": wave, "y_hat": wave * 1.03}
            part = pd.DataFrame({"unique_id": name, **values})
            parts.append(part[(part["cutoff"] - DS[0]).dt.days % every == 0])
    made = pd.concat(parts, ignore_index=True)
    return made.assign(**{"q0.1": made["y_hat"] * 0.95, "q0.9": made["y_hat"] * 1.05})


COVERED = pd.DataFrame(
    {"step": range(1, 8), "coverage_80": [0.7, 0.82] * 3 + [0.9], "coverage_95": [0.95] * 6 + [np.nan]}
)
BOARD = pd.DataFrame({"model": ["gru", "naive"], "mae": [18_250.0, 126_444.0]})

LINES = pd.DataFrame(
    {
        "row": ["five_columns", "gru"],
        "figure": ["rail mae +1", "rail mae mean"],
        "published": [22_062.0, np.nan],
        "measured": [np.nan, 31_000.0],
        "mean": [22_800.0, 30_000.0],
        "low": [21_751.0, 29_000.0],
        "high": [23_678.0, 31_500.0],
        "tuned": [18_250.0, np.nan],
    }
)


def told(ids: tuple[str, ...] = ("bus", "rail")) -> pd.DataFrame:
    """Probabilities of two models, of days of which a third is low; the last series has no low day."""
    rng = np.random.default_rng(0)
    parts = []
    for name in ids:
        low = (rng.random(60) < (0.0 if name == ids[-1] else 1 / 3)).astype(float)
        for model, probability in (("base_rate", np.full(60, 0.3)), ("network", (low + rng.random(60)) / 2)):
            parts.append(pd.DataFrame({"unique_id": name, "model": model, "probability": probability, "low": low}))
    return pd.concat(parts, ignore_index=True)


def trials(count: int, level: float = 0.5) -> list[report.Tried]:
    """As a search leaves them: most pruned, every seventh refused, one that failed, some far off."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        floor = level * (1 + rng.exponential(0.3) + (30 if number % 50 == 3 else 0))
        curve = {step: floor * (1 + 2 / step) for step in (3, 9, 15, 30)}
        state = "complete" if number % 3 == 0 else "failed" if number == 4 else "pruned"
        ran = (3, 9, 15, 30) if state == "complete" else () if number % 7 == 5 else (3, 9)[: 1 + number % 2]
        value = curve[30] if state == "complete" else None
        made.append(report.Tried(number, state, value, {step: curve[step] for step in ran}))
    return made


DRAWINGS: dict[str, Callable[[Path], Path]] = {
    "forecast_against_actual": lambda f: report.forecast_against_actual(rows(), "gru", "rides per day", f),
    "reliability": lambda f: report.reliability(told(), "low days", f),
    "precision_recall": lambda f: report.precision_recall(told(), "low days", f),
    "few_origins": lambda f: report.forecast_against_actual(rows(every=7), "gru", "rides per day", f),
    "many_series": lambda f: report.forecast_against_actual(rows(tuple("abcdefgh")), "gru", "rides", f),
    "residual_autocorrelation": lambda f: report.residual_autocorrelation(rows(), "gru: residuals", f),
    "curves": lambda f: report.curves({"train_loss": [0.5, 0.2], "val_loss": [0.6, 0.3]}, "gru: training", f),
    "tuning_history": lambda f: report.tuning_history(trials(8), "mase", "gru: search", f),
    "tuning_history_of_one": lambda f: report.tuning_history(trials(1), "mase", "gru: search", f),
    "tuning_history_of_hundreds": lambda f: report.tuning_history(trials(400, 2e4), "mae", "gru: search", f),
    "tuning_curves": lambda f: report.tuning_curves(trials(8), "mase", "epochs", "gru: search", f),
    "tuning_curves_of_hundreds": lambda f: report.tuning_curves(trials(400, 2e4), "mae", "epochs", "gru: search", f),
    "importances": lambda f: report.importances({"learning_rate": 0.7, "hidden": 0.3}, "gru: search", f),
    "coverage": lambda f: report.coverage(COVERED, "gru, backtest p1: coverage", f),
    "coverage_of_one_step": lambda f: report.coverage(COVERED.iloc[:1], "gru, backtest p1: coverage", f),
    "leaderboard": lambda f: report.leaderboard(BOARD, "mae", "gru", "cta, backtest p1", f),
    "reproduction": lambda f: report.reproduction(LINES, "cta: published, and ours", f),
    "next_horizon": lambda f: report.next_horizon(
        rows()[lambda r: r["step"] == 1].iloc[:50], rows()[lambda r: r["step"] == 1], "cta: 14 steps", "rides", f
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_written_and_shows_something(name: str, tmp_path: Path) -> None:
    file = DRAWINGS[name](tmp_path / "deep" / f"{name}.png")
    pixels = matplotlib.image.imread(file)
    assert min(pixels.shape[:2]) > 150
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 20


def test_a_forecast_without_a_band_is_drawn_too(tmp_path: Path) -> None:
    bare = rows().drop(columns=["q0.1", "q0.9"])
    assert report.forecast_against_actual(bare, "gru", "rides", tmp_path / "a.png").is_file()
    assert report.next_horizon(
        bare, bare.assign(**{"q0.1": np.nan, "q0.9": np.nan}), "t", "rides", tmp_path / "b.png"
    ).is_file()


def test_the_largest_panels_show_their_first_series_only(tmp_path: Path) -> None:
    few = matplotlib.image.imread(report.residual_autocorrelation(rows(tuple("abcd")), "t", tmp_path / "few.png"))
    many = matplotlib.image.imread(report.residual_autocorrelation(rows(tuple("abcdefgh")), "t", tmp_path / "many.png"))
    assert few.shape == many.shape
