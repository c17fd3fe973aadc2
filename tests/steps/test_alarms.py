"""A frozen model forecasts every day, and each day raises its alarms by what was known on it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.models.chicago import FILE

from daycast import models
from daycast.adapters import store
from daycast.config import Config, compose
from daycast.core import alarms, backtest, canonical, conformal, ledger, simulate, until
from daycast.core.frame import FrameSpec, Panel, Table, table
from daycast.core.lineage import Lineage
from daycast.core.split import Fold
from daycast.steps import serving, watch

HORIZON, LEVELS = 14, (0.025, 0.1, 0.5, 0.9, 0.975)
LINEAGE = Lineage("data1", "commit1", "config1", "run1")


def configured(root: Path, dataset: str) -> Config:
    return compose(root, [f"dataset={dataset}", "model=[seasonal_naive,day_type_naive]"])


def fitted(config: Config, known: Table) -> serving.Served:
    """A cheap model, as it would be registered: fitted on all that is known, its bands from the newest year."""
    forecaster = models.build(
        config.model["day_type_naive"],
        models.BuildContext(HORIZON, config.dataset.season_length, 1, config.trainer),
    )
    forecaster.fit(known.panel)
    days = known.panel.ds[-365 - HORIZON : -HORIZON]
    rows = backtest.forecasts(forecaster, known, Fold("bands", None, days[0], days, HORIZON))
    offsets = conformal.offsets(backtest.with_actuals(rows, known), LEVELS, "additive")
    return serving.Served(forecaster, known.panel.spec, known.panel.ids, offsets)


def kept(config: Config, whole: Table, first: str, last: str, folder: Path) -> tuple[pd.DataFrame, Panel]:
    """The ledger of forecasts from each day by a model that has seen nothing from ``first`` on, and what came."""
    served = fitted(config, until.table(whole, pd.Timestamp(first) - pd.Timedelta(days=1)))
    days = pd.date_range(first, last)
    panel = whole.panel.until(days[-1])
    with store.opened(f"sqlite:///{folder / 'forecasts.db'}") as engine:
        made = [
            serving.from_table(served, until.table(whole, day), HORIZON)
            for day in days[:-1].insert(0, days[0] - pd.Timedelta(days=1))
        ]
        store.write_forecasts(engine, "here", pd.concat(made), ("day_type_naive", "1"), LINEAGE)
        store.judge(engine, "here", panel.cutoff, timedelta(days=28), "data1", lambda rows: ledger.judged(rows, panel))
        known, moves = store.witnessed(engine, "here"), store.read_promotions(engine, "here")
        sums = ledger.serving(store.read_ledger(engine, "here"), *known, moves)
    assert sums["ds"].nunique() == len(days)
    return sums, panel


def lived(config: Config, whole: Table, first: str, last: str, folder: Path) -> pd.DataFrame:
    """Each alarm on each day of ``kept``: ``day, alarm, raised, figure``."""
    sums, panel = kept(config, whole, first, last, folder)
    days = pd.date_range(first, last)
    found = watch.alarms_of(watch.seen(panel, sums, config.monitoring, len(days)), config, [0] * len(days))
    rows = [(day, one.name, one.raised, one.figure) for day, told in found.items() for one in told]
    return pd.DataFrame(rows, columns=["day", "alarm", "raised", "figure"])


def began(config: Config, found: pd.DataFrame) -> pd.DatetimeIndex:
    """The days on which episodes of alarms began."""
    on = found.groupby("day")["raised"].any()
    return pd.DatetimeIndex(alarms.episodes(on, config.monitoring.calm_days)["began"])


def first_raised(found: pd.DataFrame, since: str) -> pd.Series:
    """The first day from ``since`` on that each alarm is raised on."""
    return found[found["raised"] & (found["day"] >= since)].groupby("alarm")["day"].min()


def test_the_pandemic_is_told_within_a_week_and_the_year_before_raises_one_alarm_at_most(
    root: Path, real_data: Path, tmp_path: Path
) -> None:
    config = configured(root, "cta")
    raw = pd.read_csv(real_data / FILE).drop_duplicates()
    whole = table(canonical.canonical(raw, config.dataset.layout()), config.dataset.spec())
    found = lived(config, whole, "2019-01-01", "2020-03-31", tmp_path)
    in_2019 = began(config, found)[began(config, found) < "2020"]
    assert len(in_2019) <= 1
    # What there is, is of the polar vortex of 2019-01-30 and what it left in the means of the weeks after.
    assert ((in_2019 >= "2019-01-30") & (in_2019 <= "2019-02-15")).all()
    spring = first_raised(found, "2020-03-01")
    assert spring.loc[["error", "drift", "coverage"]].max() <= pd.Timestamp("2020-03-19")
    assert spring.min() >= pd.Timestamp("2020-03-12")  # the first day on which rides fell


def simulated(config: Config, seed: int, falls: str | None = None) -> Table:
    """Six simulated years from 2018 on; from a day on the level falls to a third within five days, if any."""
    raw = simulate.ridership(seed, "2018-01-01", 6)
    if falls is not None:
        day = (pd.to_datetime(raw["service_date"]) - pd.Timestamp(falls)).dt.days.to_numpy()
        level = np.interp(day, [-1, 0, 1, 2, 3, 4], [1.0, 0.85, 0.7, 0.55, 0.4, 0.33])
        for mode in ("bus", "rail"):
            raw[mode] = np.rint(raw[mode] * level).astype(int)
    return table(canonical.canonical(raw, config.dataset.layout()), config.dataset.spec())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_level_that_collapses_is_told_within_a_week_and_a_year_with_its_holidays_raises_one_alarm_at_most(
    root: Path, tmp_path: Path, seed: int
) -> None:
    config = configured(root, "sample")
    whole = simulated(config, seed, falls="2023-01-17")
    found = lived(config, whole, "2022-01-05", "2023-01-25", tmp_path)
    assert (began(config, found) < "2023-01-17").sum() <= 1
    collapse = first_raised(found, "2023-01-17")
    assert collapse.loc[["error", "drift", "coverage"]].max() <= pd.Timestamp("2023-01-23")


GONE = {
    "began long ago": slice(None, -200),
    "began this week": slice(None, -5),
    "came back this week": slice(-12, -5),
    "ended": slice(-200, None),
    "was there all the time": slice(0),
}


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize(("times", "raised"), [(0.7, False), (5.0, True)])
@pytest.mark.parametrize("large", GONE)
def test_a_large_series_that_begins_or_ends_neither_raises_the_error_alarm_nor_hides_it(
    root: Path, large: str, times: float, raised: bool, size: int
) -> None:
    """Forecasts of all series that have a value, which miss ``times`` what the seasonal naive misses on average."""
    config = compose(root, ["dataset=sample", "model=[seasonal_naive]"])
    ds, random, newest = pd.date_range("2018-01-01", periods=1500), np.random.default_rng(5), 20
    level = np.array([100.0] * 4 + [100.0 * size])[:, None]
    y = level * (1 + 0.1 * random.standard_normal((5, len(ds))))
    y[4, GONE[large]] = np.nan
    frames = [pd.DataFrame({"unique_id": f"s{i}", "ds": ds, "y": one}) for i, one in enumerate(y)]
    panel = table(pd.concat(frames), FrameSpec("D", 7)).panel
    rows = []
    for at in range(len(ds) - 180, len(ds)):
        naive, own = np.abs(y[:, at] - y[:, at - 7]), times * np.sqrt(2) * np.abs(y[:, at] - level[:, 0])
        both = np.isfinite(naive)
        counts = np.isfinite(own).sum(), np.nansum(own), both.sum(), own[both].sum(), naive[both].sum()
        rows.append((ds[at - 1], ds[at], 1, *counts))
    columns = ["cutoff", "ds", "step", "n", "abs_error", "n_naive", "abs_error_naive", "naive_error"]
    told = pd.DataFrame(rows, columns=columns)
    sums = told.assign(
        **dict.fromkeys(ledger.VERSION, "1"),
        **dict.fromkeys(("error", "inside_80", "inside_95"), 0.0),
        **dict.fromkeys(("n_80", "n_95"), told["n"]),
        made_at=told["ds"].dt.tz_localize("UTC"),
    )
    of = watch.seen(panel, sums, config.monitoring, newest)
    found = [a for one in watch.alarms_of(of, config, [0] * newest).values() for a in one if a.name == "error"]
    assert {one.raised for one in found} == {raised}, [one.cause for one in found]


@pytest.mark.parametrize(("hour", "usual"), [(13, 2), (4, 3)])  # UTC; four is the evening before in Chicago
def test_data_that_came_every_day_are_late_when_they_do_not(root: Path, tmp_path: Path, hour: int, usual: int) -> None:
    config = configured(root, "sample")
    sums, panel = kept(config, simulated(config, 3), "2023-01-05", "2023-01-31", tmp_path)
    at = pd.Timedelta(days=usual - 1 + (hour < 6), hours=hour)
    seen = watch.seen(panel, sums.assign(made_at=(sums["cutoff"] + at).dt.tz_localize("UTC")), config.monitoring)
    late = {}
    for age in (usual, usual + 1):
        (told,) = watch.alarms_of(seen, config, [age]).values()
        late[age] = next(one for one in told if one.name == "late")
    assert [one.raised for one in late.values()] == [False, True]
    assert f"newer ones came when it was {usual} at most" in late[usual + 1].cause


def test_what_comes_later_changes_no_alarm_of_a_day(root: Path, tmp_path: Path) -> None:
    config = configured(root, "sample")
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    calm = lived(config, simulated(config, 3), "2023-01-05", "2023-02-20", tmp_path / "without")
    falls = lived(config, simulated(config, 3, falls="2023-02-10"), "2023-01-05", "2023-02-20", tmp_path / "with")
    pd.testing.assert_frame_equal(calm[calm["day"] < "2023-02-10"], falls[falls["day"] < "2023-02-10"])
    assert falls["raised"].sum() > calm["raised"].sum()
