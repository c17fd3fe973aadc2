"""What forecasts came to, side by side, checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import realised
from daycast.core.frame import FrameSpec, Panel, table

DAYS = pd.date_range("2024-01-01", periods=40)
SPEC = FrameSpec(freq="D", season_length=7, known={}, past=(), static={}, floor=0.0, held=())


def panel() -> Panel:
    frame = pd.DataFrame({"unique_id": "rail", "ds": DAYS, "y": np.arange(40) ** 1.5 + 100})
    frame.loc[30, "y"] = np.nan
    return table(frame, SPEC).panel


def rows(cutoffs: list[int], horizon: int = 10) -> pd.DataFrame:
    made = [("rail", DAYS[c], DAYS[c] + pd.Timedelta(days=s), s) for c in cutoffs for s in range(1, horizon + 1)]
    return pd.DataFrame(made, columns=["unique_id", "cutoff", "ds", "step"])


def test_each_row_stands_beside_its_value_and_the_season_of_its_cutoff() -> None:
    found = realised.matured(rows([15, 35]), panel())
    assert found["step"].tolist() == [*range(1, 11), 1, 3, 4]  # the value of day 30 is missing, on day 37 as the naive
    y = panel().y[0]
    assert found["y"].tolist() == [*y[16:26], y[36], y[38], y[39]]
    assert found["naive"].tolist() == [*y[9:16], *y[9:12], y[29], y[31], y[32]]


def test_errors_are_told_in_all_by_series_and_by_month() -> None:
    ds = pd.to_datetime(["2024-01-31", "2024-02-01", "2024-02-01"])
    given = pd.DataFrame({"unique_id": ["a", "a", "b"], "ds": ds, "y": [10.0, 10.0, 20.0]})
    told = realised.errors(given.assign(one=[11.0, 12.0, 20.0], two=[14.0, 14.0, 16.0]), ("one", "two"))
    assert told[["of", "name", "n_rows", "one", "two"]].to_numpy().tolist() == [
        ["all", "all", 3, 1.0, 4.0],
        ["series", "a", 2, 1.5, 4.0],
        ["series", "b", 1, 0.0, 4.0],
        ["month", "2024-01", 1, 1.0, 4.0],
        ["month", "2024-02", 2, 1.0, 4.0],
    ]
    assert told["skill_two"].tolist() == pytest.approx([0.75, 0.625, 1.0, 0.75, 0.75])


def test_level_and_errors_over_time_are_means_of_all_rows_up_to_each_day() -> None:
    ds = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"])
    given = pd.DataFrame({"ds": ds, "y": [1.0, 3.0, 6.0], "one": [2.0, 6.0, 6.0]})
    found = realised.by_day(given, ["one"], 2)
    assert found[["y", "one"]].to_numpy().tolist() == [[2.0, 2.0], [4.0, 1.0]]
