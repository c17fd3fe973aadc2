"""What forecasts missed by, checked against what one would do by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import ledger
from daycast.core.frame import FrameSpec, Panel, table

DAYS = pd.date_range("2024-01-01", periods=40)
LEVELS = ("0.025", "0.1", "0.9", "0.975")


def came(missing: int | None = None) -> Panel:
    y = np.arange(40) ** 1.5 + 100
    y[[] if missing is None else [missing]] = np.nan
    return table(pd.DataFrame({"unique_id": "rail", "ds": DAYS, "y": y}), FrameSpec("D", 7)).panel


def forecasts(cutoffs: list[int], horizon: int = 10, off: float = 1.0) -> pd.DataFrame:
    """Forecasts that miss by ``off``, from the days numbered ``cutoffs``, with intervals of 4 and 8 around them."""
    known = dict(zip(DAYS, came().y[0], strict=True))
    rows = []
    for number in cutoffs:
        for step in range(1, horizon + 1):
            ds = DAYS[number] + pd.Timedelta(days=step)
            y_hat = known.get(ds, 0.0) + off
            rows.append(("rail", DAYS[number], ds, step, y_hat, y_hat - 4, y_hat - 2, y_hat + 2, y_hat + 4))
    return pd.DataFrame(rows, columns=["unique_id", "cutoff", "ds", "step", "y_hat", *LEVELS])


def by_hand(cutoff: pd.Timestamp, ds: pd.Timestamp) -> float:
    """The newest value of the same weekday up to the cutoff."""
    known = dict(zip(DAYS, came().y[0], strict=True))
    day = ds
    while day > cutoff:
        day -= pd.Timedelta(days=7)
    return float(known[day])


def sums(rows: pd.DataFrame, **given: object) -> pd.DataFrame:
    """The ledger's rows of judged rows, one for each."""
    beside = rows["naive"].notna()
    return rows.assign(
        model="mine",
        model_version="1",
        run_id="run",
        made_at=pd.Timestamp("2024-03-01"),
        n=1,
        abs_error=rows["error"].abs(),
        n_naive=beside.astype(int),
        abs_error_naive=rows["error"].abs().where(beside, 0.0),
        naive_error=(rows["naive"] - rows["y"]).abs().fillna(0.0),
        n_80=rows["inside_80"].notna().astype(int),
        n_95=rows["inside_95"].notna().astype(int),
        **given,
    )


def test_each_row_stands_beside_its_value_and_the_season_of_its_cutoff() -> None:
    found = ledger.judged(forecasts([20, 25]), came())
    assert len(found) == 20
    assert found["error"].to_numpy() == pytest.approx(1.0)
    expected = [by_hand(row.cutoff, row.ds) for row in found.itertuples()]
    assert found["naive"].tolist() == expected


def test_what_has_not_come_yet_and_what_never_came_is_not_judged() -> None:
    assert ledger.judged(forecasts([35]), came())["step"].tolist() == [1, 2, 3, 4]
    assert ledger.judged(forecasts([35]), came(missing=37))["step"].tolist() == [1, 3, 4]


def test_a_series_that_the_data_do_not_have_is_not_judged() -> None:
    assert ledger.judged(forecasts([20]).assign(unique_id="tram"), came()).empty


def test_a_value_on_the_edge_of_an_interval_is_inside_and_one_without_an_interval_is_neither() -> None:
    on_edge = ledger.judged(forecasts([20], horizon=2, off=2.0), came())
    assert on_edge["inside_80"].tolist() == [1.0, 1.0]
    outside = ledger.judged(forecasts([20], horizon=2, off=3.0), came())
    assert (outside["inside_80"].tolist(), outside["inside_95"].tolist()) == ([0.0, 0.0], [1.0, 1.0])
    without = ledger.judged(forecasts([20], horizon=2).assign(**dict.fromkeys(LEVELS, np.nan)), came())
    assert without[["inside_80", "inside_95"]].isna().all(axis=None)


def test_the_ledger_tells_error_skill_bias_and_coverage() -> None:
    rows = ledger.judged(forecasts([20], off=-3.0), came())
    (told,) = ledger.told(sums(rows), ["cutoff"]).itertuples()
    naive = np.mean([abs(by_hand(r.cutoff, r.ds) - r.y) for r in rows.itertuples()])
    assert (told.n, told.mae, told.bias) == (10, pytest.approx(3.0), pytest.approx(-3.0))
    assert told.naive_mae == pytest.approx(naive)
    assert told.skill == pytest.approx(1 - 3 / naive)
    assert (told.coverage_80, told.coverage_95) == (0.0, 1.0)


def test_skill_is_of_the_rows_alone_that_the_seasonal_naive_could_forecast_too() -> None:
    rows = ledger.judged(forecasts([2], horizon=7, off=1.0), came())
    assert rows["naive"].isna().sum() == 4  # the week before the first day is not there
    (told,) = ledger.told(sums(rows), ["cutoff"]).itertuples()
    with_naive = rows.dropna(subset="naive")
    assert told.skill == pytest.approx(1 - len(with_naive) / (with_naive["naive"] - with_naive["y"]).abs().sum())
    assert told.n == 7


def test_where_the_season_is_exact_a_miss_is_no_division_by_zero() -> None:
    rows = ledger.judged(forecasts([20], horizon=2), came()).assign(naive=lambda r: r["y"])
    assert ledger.told(sums(rows), ["cutoff"])["skill"].tolist() == [-np.inf]
    assert ledger.told(sums(rows.assign(error=0.0)), ["cutoff"])["skill"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("first", "second", "serves"),
    [
        ("2024-01-21 06:00", "2024-01-21 18:00", "2"),  # both before a value has come: the last one
        ("2024-01-21 18:00", "2024-01-21 06:00", "1"),
        ("2024-01-21 06:00", "2024-03-02", "1"),  # whoever makes up for it later changes nothing
        ("2024-03-02", "2024-01-21 06:00", "2"),
        ("2024-03-01", "2024-03-02", "1"),  # of two that came too late, the first
    ],
)
def test_of_two_versions_that_forecast_from_a_cutoff_the_one_that_served_counts(
    first: str, second: str, serves: str
) -> None:
    rows = sums(ledger.judged(forecasts([20, 21], horizon=2), came())).assign(made_at=pd.Timestamp(first, tz="UTC"))
    other = rows[rows["cutoff"] == DAYS[20]].assign(model_version="2", made_at=pd.Timestamp(second, tz="UTC"))
    found = ledger.serving(pd.concat([rows, other]), "UTC")
    assert found.groupby("cutoff")["model_version"].unique().map(list).tolist() == [[serves], ["1"]]


@pytest.mark.parametrize(
    ("zone", "morning", "again", "serves"),
    [
        ("America/Chicago", "2024-01-22 06:00", "2024-01-22 19:00", "2"),  # the next day in UTC: no value has come
        ("America/Chicago", "2024-01-22 06:00", "2024-01-23 01:00", "1"),
        ("Asia/Tokyo", "2024-01-22 06:00", "2024-01-22 23:00", "2"),
        ("Asia/Tokyo", "2024-01-22 06:00", "2024-01-23 08:00", "1"),  # still the day before in UTC
    ],
)
def test_whether_a_value_had_come_is_asked_by_the_clock_of_the_data(
    zone: str, morning: str, again: str, serves: str
) -> None:
    first, second = (pd.Timestamp(time, tz=zone).tz_convert("UTC") for time in (morning, again))
    rows = sums(ledger.judged(forecasts([20], horizon=2), came())).assign(made_at=first)
    other = rows.assign(model_version="2", made_at=second)
    found = ledger.serving(pd.concat([rows, other]), zone)
    assert found["model_version"].unique().tolist() == [serves]


def test_of_data_that_come_late_the_version_that_forecast_last_before_they_came_served() -> None:
    """From the same cutoff for days, until a month comes at once; a backfill after that rewrites nothing."""
    rows = sums(ledger.judged(forecasts([20, 25], horizon=2), came()))
    old, new = (rows[rows["cutoff"] == DAYS[day]] for day in (20, 25))
    made = [
        old.assign(made_at=pd.Timestamp("2024-03-05", tz="UTC")),
        old.assign(made_at=pd.Timestamp("2024-03-06", tz="UTC"), model_version="2"),
        new.assign(made_at=pd.Timestamp("2024-03-20", tz="UTC"), model_version="2"),
        old.assign(made_at=pd.Timestamp("2024-03-21", tz="UTC"), model_version="3"),
        new.assign(made_at=pd.Timestamp("2024-03-21", tz="UTC"), model_version="3"),
    ]
    found = ledger.serving(pd.concat(made), "America/Chicago")
    assert found.groupby("cutoff")["model_version"].unique().map(list).tolist() == [["2"], ["2"]]
