"""What people read of a forecast."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from daycast.cli import summary
from daycast.steps.outcomes import ForecastRef
from daycast.steps.reference import VersionRef


def forecast(folder: Path, values: list[float], series: int = 1, band: bool = True) -> ForecastRef:
    """A forecast whose rows lie in a folder."""
    ds = pd.date_range("2024-01-02", periods=len(values))
    names = [f"s{n}" for n in range(series)]
    rows = pd.concat([pd.DataFrame({"unique_id": n, "cutoff": "2024-01-01", "ds": ds, "y_hat": values}) for n in names])
    rows = rows.assign(
        **{"q0.1": rows["y_hat"] * 0.9, "q0.9": rows["y_hat"] * 1.1} if band else {"q0.1": None, "q0.9": None}
    )
    rows.to_csv(folder / "rows.csv", index=False)
    return ForecastRef(
        dataset="tiny",
        cutoff="2024-01-01T00:00:00",
        horizon=len(values),
        served_by=VersionRef(name="daycast-tiny", version="1", model="gru"),
        role="champion",
        n_rows=len(rows),
        new_rows=0,
        rows=str(folder / "rows.csv"),
        plot="picture.png",
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([712345.6, 20.0], "712,346  [641,111 .. 783,580]"),
        ([52.04, 9.0], "52.0  [46.8 .. 57.2]"),
        ([0.5, 0.25], "0.50  [0.45 .. 0.55]"),
    ],
)
def test_a_forecast_has_three_figures_at_least(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: list[float], told: str
) -> None:
    summary.show_forecast(forecast(tmp_path, values))
    shown = capsys.readouterr().out
    assert told in shown
    assert "Forecast by gru after 2024-01-01, with 80 % band\n" in shown


def test_of_many_series_the_first_are_shown_and_the_way_to_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary.show_forecast(forecast(tmp_path, [1.0, 2.0], series=7, band=False))
    shown = capsys.readouterr().out
    assert f"the first 4 of 7 series; all rows: {tmp_path / 'rows.csv'}" in shown
    assert "s3" in shown
    assert "s4" not in shown
    assert "without a band" in shown
    assert "[" not in shown.splitlines()[5]


def test_a_leaderboard_tells_how_intervals_did_and_fits_in_a_hundred_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = {"mae": 1_255_845.1, "rmse": 1_289_724.2, "mape": 0.452, "mase": 17.294, "crps": 1_055_845.3}
    covered = {"coverage_80": 0.794, "coverage_95": 0.951, "width_80": 3_000_000.0, "width_95": 5_000_000.0}
    line = {"rank": 12, "model": "seasonal_naive_364", "n_rows": 1234, **figures, **covered, "skill": -19.339}
    summary.show_board(pd.DataFrame([line]), "Leaderboard: cta, out of sample, raw units")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Leaderboard: cta, out of sample, raw units, 1,234 rows each"
    assert all(name in shown[2] for name in ("in 80 %", "in 95 %", "crps", "skill"))
    assert all(value in shown[4] for value in ("0.794", "0.951", "1,055,845", "-19.339", "seasonal_naive_364"))
    assert 90 < max(len(text) for text in shown) <= 100
