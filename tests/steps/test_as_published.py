"""Figures that were published, on the real file, and the gate on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ROOT
from tests.models.chicago import ridership

from daycast.config import compose
from daycast.config.reproduce import ControlRow, publication
from daycast.core import reproduce
from daycast.core.verdict import Decision, Gate
from daycast.settings import Settings
from daycast.steps import control, published

TOLD = publication(ROOT)
GATE = Gate(0.02, 0.05)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, tmp_path / "state", "", "", "")


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("seasonal_naive", {("rail", "mae"): 42_143, ("bus", "mae"): 43_916}),
        ("sarima_raw", {("rail", "mae"): 32_041}),
        ("sarima_scaled", {("rail", "mae"): 36_747}),
    ],
)
def test_a_published_figure_without_a_seed_is_met_to_the_ride(
    real_data: Path, settings: Settings, name: str, figures: dict[tuple[str, str], int]
) -> None:
    trainer = compose(ROOT).trainer
    table = ridership(real_data)
    folder = published.fitted(settings, table, "real", TOLD, name, trainer)
    assert folder == published.fitted(settings, table, "real", TOLD, name, trainer)
    window = TOLD.windows["spring"]
    at = reproduce.cutoffs(pd.Timestamp(window.first), pd.Timestamp(window.last), window.horizon)
    made = published.rows(folder)
    found = {(s, m): reproduce.figure(made, at, s, None, m) for s, m in figures}
    # Estimates by an optimiser differ in the last digits from one machine to the next.
    assert found == pytest.approx(figures, abs=0.5 if name == "seasonal_naive" else 40)


@pytest.fixture
def noise() -> ControlRow:
    row = TOLD.rows["noise_control"]
    assert isinstance(row, ControlRow)
    few = row.recipe.model_copy(update={"max_epochs": 3})
    return row.model_copy(update={"recipe": few, "models": {"naive": row.models["naive"]}})


def test_on_noise_the_mean_stays_and_a_seed_is_trained_once(settings: Settings, noise: ControlRow) -> None:
    trainer = compose(ROOT).trainer
    found = control.control(settings, "noise", noise, [1, 2], GATE, trainer)
    assert found.passed
    assert found.decision.winner == "mean"
    assert set(found.board["model"]) == {"mean", "naive", "network, seed 1", "network, seed 2"}
    assert (found.board["n_rows"] == 25).all()
    assert found.own == pytest.approx(reproduce.NOISE_DEVIATION, rel=0.15)
    kept = {file: file.stat().st_mtime_ns for file in settings.state.rglob("rows.parquet")}
    assert len(kept) == 2
    again = control.control(settings, "noise", noise, [1, 2], GATE, trainer)
    assert again.networks == found.networks
    assert {file: file.stat().st_mtime_ns for file in settings.state.rglob("rows.parquet")} == kept


def test_a_model_that_knew_the_noise_would_fail_the_control(
    settings: Settings, noise: ControlRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def knowing(*_: object) -> pd.DataFrame:
        days = pd.date_range(control.START, periods=noise.values)
        y = reproduce.noise(noise.seed, noise.values)[noise.train :]
        made = {"unique_id": "noise", "cutoff": days[noise.train - 1 : -1], "ds": days[noise.train :], "step": 1}
        return pd.DataFrame({**made, "y_hat": y + 0.1, "y": y})

    monkeypatch.setattr(control, "_network", knowing)
    found = control.control(settings, "noise", noise, [1], GATE, compose(ROOT).trainer)
    assert not found.passed
    assert found.decision.winner == "network, seed 1"
    assert isinstance(found.decision, Decision)
    assert np.isclose(found.networks[0], 0.1)
