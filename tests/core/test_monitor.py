"""How forecasts turned out, checked against what one would do by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import monitor


def actuals(days: int = 40) -> pd.DataFrame:
    ds = pd.date_range("2024-01-01", periods=days)
    return pd.DataFrame({"unique_id": "rail", "ds": ds, "y": np.arange(days) ** 1.5 + 100})


def forecasts(cutoffs: list[int], horizon: int = 10, off: float = 1.0, made: str = "2024-03-01") -> pd.DataFrame:
    """Forecasts that miss by ``off``, from the days numbered ``cutoffs``."""
    known = actuals().set_index("ds")["y"]
    rows = []
    for number in cutoffs:
        cutoff = known.index[number]
        for step in range(1, horizon + 1):
            ds = cutoff + pd.Timedelta(days=step)
            rows.append(("rail", cutoff, ds, step, known.get(ds, 0.0) + off, "1", pd.Timestamp(made)))
    names = ["unique_id", "cutoff", "ds", "step", "y_hat", "model_version", "made_at"]
    return pd.DataFrame(rows, columns=names)


def by_hand(cutoff: pd.Timestamp, ds: pd.Timestamp) -> float:
    """The newest value of the same weekday up to the cutoff."""
    known = actuals().set_index("ds")["y"]
    day = ds
    while day > cutoff:
        day -= pd.Timedelta(days=7)
    return float(known[day])


def test_each_row_stands_beside_its_value_and_the_season_of_its_cutoff() -> None:
    found = monitor.matured(forecasts([20, 25]), actuals(), 7, "D")
    assert len(found) == 20
    assert (found["y_hat"] - found["y"]).to_numpy() == pytest.approx(1.0)
    expected = [by_hand(row.cutoff, row.ds) for row in found.itertuples()]
    assert found["naive"].tolist() == expected


def test_what_has_not_come_yet_is_not_judged() -> None:
    found = monitor.matured(forecasts([35]), actuals(), 7, "D")
    assert found["step"].tolist() == [1, 2, 3, 4]


def test_of_a_forecast_made_twice_the_last_one_counts() -> None:
    twice = pd.concat([forecasts([20], off=9.0, made="2024-03-02"), forecasts([20], off=5.0, made="2024-03-01")])
    found = monitor.matured(twice, actuals(), 7, "D")
    assert len(found) == 10
    assert (found["y_hat"] - found["y"]).to_numpy() == pytest.approx(9.0)


def test_a_window_has_the_mean_error_the_bias_and_the_skill() -> None:
    rows = monitor.matured(forecasts([20], off=-3.0), actuals(), 7, "D")
    (window,) = monitor.windows(rows).itertuples()
    naive = np.mean([abs(by_hand(r.cutoff, r.ds) - r.y) for r in rows.itertuples()])
    assert (window.n_rows, window.mae, window.bias) == (10, pytest.approx(3.0), pytest.approx(-3.0))
    assert window.naive_mae == pytest.approx(naive)
    assert window.skill == pytest.approx(1 - 3 / naive)


def test_where_the_season_is_exact_a_miss_is_no_division_by_zero() -> None:
    flat = actuals().assign(y=5.0)
    rows = monitor.matured(forecasts([20], horizon=2).assign(y_hat=[5.0, 6.0]), flat, 7, "D")
    assert monitor.windows(rows)["skill"].tolist() == [-np.inf]
    exact = rows.assign(y_hat=5.0)
    assert monitor.windows(exact)["skill"].tolist() == [0.0]


def told(skills: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"cutoff": pd.date_range("2024-01-01", periods=len(skills)), "skill": skills})


@pytest.mark.parametrize(
    ("skills", "raised"),
    [
        ([-0.1] * 7, True),
        ([0.3, 0.3, -0.1, -0.1, -0.1, -0.1, -0.1], True),
        ([-0.1, -0.1, -0.1, -0.1, -0.1, -0.1, 0.1], False),  # over by now
        ([0.3] * 6 + [-0.9], False),  # one bad day
        ([-0.1] * 4 + [0.2, 0.2, -0.1], True),
        ([-0.1] * 20 + [0.2] * 3 + [-0.1], False),  # the older ones no longer count
        ([-0.1, -0.1], False),  # too few to tell
        ([], False),
    ],
)
def test_an_alarm_takes_a_loss_that_lasts_and_is_there_still(skills: list[float], raised: bool) -> None:
    found = monitor.judged(told(skills), n=7, at_least=5)
    assert found.raised is raised
    assert found.reason
