"""What a registered version runs: tables in, tables out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.models import synthetic

from daycast import models
from daycast.config import AutoEts, SeasonalNaive, Trainer
from daycast.core.forecast import Origin
from daycast.core.frame import FrameSpec, table
from daycast.errors import DataError, HistoryError, OutputError
from daycast.steps import serving

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPEC = FrameSpec("D", 7, {"day_of_week": DAYS, "holiday": None}, (), {"line": ("blue", "red")}, 1, 0.0)
CUTOFF = pd.Timestamp("2020-02-09")
CONF = Path(__file__).parents[2] / "conf"
TRAINER = Trainer.model_validate_json(json.dumps(yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())))


def canonical(days: int = 80) -> pd.DataFrame:
    """Two series from 2020-01-01, observed up to ``CUTOFF``; bus is ten times rail."""
    ds = pd.date_range("2020-01-01", periods=days)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": ds,
                "y": np.where(ds <= CUTOFF, scale * (100.0 + np.arange(days)), np.nan),
                "day_of_week": np.asarray(DAYS)[ds.dayofweek],
                "holiday": 0.0,
                "line": line,
                "not for models": "x",
            }
        )
        for name, scale, line in (("bus", 10.0, "blue"), ("rail", 1.0, "red"))
    ]
    return pd.concat(parts, ignore_index=True)


def served(offsets: pd.DataFrame | None = None) -> serving.Served:
    model = SeasonalNaive(family="seasonal_naive", lag=7)
    return serving.Served(models.build(model, models.BuildContext(3, 7, 0, TRAINER)), SPEC, ("bus", "rail"), offsets)


def offsets(low: float, high: float) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([["bus", "rail"], [1, 2]], names=["unique_id", "step"])
    return pd.DataFrame({"q0.1": [low] * 4, "q0.5": [0.0, 1.0, 0.0, 1.0], "q0.9": [high] * 4}, index=index)


class LastOfPast:
    """A forecaster that repeats the last value of its past covariate."""

    horizon, min_history, takes_new_series = 28, 1, True

    def predict(self, origins: Sequence[Origin]) -> np.ndarray:
        return np.stack([np.repeat(o.history.past[:, -1], len(o.future.ds), axis=1) for o in origins])


def inputs(horizon: int = 3, **changes: object) -> pd.DataFrame:
    return serving.inputs(canonical().assign(**changes), SPEC, CUTOFF, horizon)


def test_the_input_holds_no_regime_that_begins_after_the_cutoff(tmp_path: Path) -> None:
    spec = replace(SPEC, known={**SPEC.known, "regime": ("none", "war")}, held=("regime",))
    days = canonical()
    frame = days.assign(regime=np.where(days["ds"] > CUTOFF, "war", "none"))
    assert set(serving.inputs(frame, spec, CUTOFF, 3)["regime"]) == {"none"}
    begun = serving.inputs(frame, spec, CUTOFF + pd.Timedelta(days=1), 3)
    assert (begun["regime"] == np.where(begun["ds"] > CUTOFF, "war", "none")).all()
    told = json.loads(serving.write(tmp_path / "told.json", spec, ("bus", "rail"), None).read_text())
    assert serving._spec(told["spec"]) == spec


def test_a_forecast_is_a_row_per_series_and_step_after_the_last_observation() -> None:
    rows = serving.forecast(served(), inputs(), 3)
    assert list(rows.columns) == ["unique_id", "cutoff", "ds", "step", "y_hat"]
    assert list(rows["unique_id"]) == ["bus"] * 3 + ["rail"] * 3
    assert (rows["cutoff"] == CUTOFF).all()
    assert list(rows["ds"][:3]) == list(pd.date_range("2020-02-10", periods=3))
    week_before = canonical().set_index(["unique_id", "ds"])["y"]
    expected = [week_before[u, d - pd.Timedelta(days=7)] for u, d in zip(rows["unique_id"], rows["ds"], strict=True)]
    np.testing.assert_array_equal(rows["y_hat"], expected)


def test_quantiles_are_offsets_from_the_forecast_held_at_the_floor() -> None:
    rows = serving.forecast(served(offsets(-200.0, 5.0)), inputs(), 3)
    assert rows.loc[rows["step"] == 3, "q0.1"].isna().all()  # beyond the validated horizon of 2
    rows = rows[rows["step"] < 3]
    rail, bus = rows[rows["unique_id"] == "rail"], rows[rows["unique_id"] == "bus"]
    assert (rail["q0.1"] == 0.0).all()
    np.testing.assert_array_equal(bus["q0.1"], bus["y_hat"] - 200.0)
    np.testing.assert_array_equal(rail["q0.5"] - rail["y_hat"], [0.0, 1.0])
    np.testing.assert_array_equal(rail["q0.9"] - rail["y_hat"], [5.0] * 2)


def test_relative_offsets_travel_with_what_is_stored_and_are_shares_of_the_forecast(tmp_path: Path) -> None:
    before = served(offsets(-0.2, 0.1).assign(least=[1.0, 1.0, 1e6, 1e6]))
    models.save(before.forecaster, tmp_path / "model")
    after = serving.read(tmp_path / "model", serving.write(tmp_path / "s.json", SPEC, before.ids, before.offsets))
    rows = serving.forecast(after, inputs(), 3)
    pd.testing.assert_frame_equal(rows, serving.forecast(before, inputs(), 3))
    assert "least" not in rows
    rail, bus = (rows[(rows["unique_id"] == name) & (rows["step"] < 3)] for name in ("rail", "bus"))
    np.testing.assert_allclose(bus["q0.1"], 0.8 * bus["y_hat"])
    np.testing.assert_allclose(rail["q0.9"] - rail["y_hat"], 1e5)  # a forecast below the least size


def test_the_input_holds_nothing_later_than_the_cutoff_but_what_is_known_ahead() -> None:
    cutoff = pd.Timestamp("2020-02-01")
    frame = serving.inputs(canonical(), SPEC, cutoff, 5)
    assert list(frame.columns) == ["unique_id", "ds", "y", "day_of_week", "holiday", "line"]
    assert frame["ds"].max() == pd.Timestamp("2020-02-06")
    assert frame.loc[frame["ds"] > cutoff, "y"].isna().all()
    assert frame.loc[frame["ds"] <= cutoff, "y"].notna().all()


def test_past_covariates_are_not_known_ahead() -> None:
    spec = FrameSpec("D", 7, {}, ("trains",))
    frame = serving.inputs(canonical().assign(trains=5), spec, CUTOFF, 2)
    assert frame.loc[frame["ds"] > CUTOFF, "trains"].isna().all()
    assert (frame.loc[frame["ds"] <= CUTOFF, "trains"] == 5.0).all()


def test_the_input_is_typed_whatever_the_frame_had() -> None:
    odd = canonical().astype({"unique_id": "category", "day_of_week": "category", "line": "string", "holiday": "int64"})
    frame = serving.inputs(odd, SPEC, CUTOFF, 3)
    pd.testing.assert_frame_equal(frame, inputs())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    before = served(offsets(-1.0, 1.0))
    models.save(before.forecaster, tmp_path / "model")
    after = serving.read(tmp_path / "model", serving.write(tmp_path / "s.json", SPEC, before.ids, before.offsets))
    assert (after.spec, after.ids) == (before.spec, before.ids)
    pd.testing.assert_frame_equal(serving.forecast(after, inputs(), 3), serving.forecast(before, inputs(), 3))
    plain = serving.read(tmp_path / "model", serving.write(tmp_path / "p.json", SPEC, before.ids, None))
    assert plain.offsets is None


def test_a_version_from_before_there_were_learned_quantiles_keeps_its_bands_around_the_point(tmp_path: Path) -> None:
    before = served(offsets(-1.0, 1.0))
    models.save(before.forecaster, tmp_path / "model")
    told = serving.write(tmp_path / "s.json", SPEC, before.ids, before.offsets)
    told.write_text(json.dumps({k: v for k, v in json.loads(told.read_text()).items() if k != "headed"}))
    after = serving.read(tmp_path / "model", told)
    pd.testing.assert_frame_equal(serving.forecast(after, inputs(), 3), serving.forecast(before, inputs(), 3))


def test_a_longer_horizon_than_the_rows_of_the_future_is_refused() -> None:
    with pytest.raises(HistoryError, match="horizon 4 with 3 timestamps"):
        serving.forecast(served(), inputs(3), 4)
    with pytest.raises(HistoryError, match="horizon 0"):
        serving.forecast(served(), inputs(3), 0)


def test_too_little_history_is_refused() -> None:
    short = served()
    short.forecaster.min_history = 60
    with pytest.raises(HistoryError, match=r"40, 2020-01-01 \.\. 2020-02-09"):
        serving.forecast(short, inputs(), 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.drop(columns="holiday"), "holiday"),
        (lambda f: f[f["unique_id"] == "rail"], "1 series"),
        (lambda f: f.assign(unique_id=f["unique_id"].replace("bus", "tram")), "rail', 'tram"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), "two of bus at 2020-01-04"),
        (lambda f: f.assign(ds=f["ds"].mask(f.index == 5, f["ds"] + pd.Timedelta(hours=1))), "2020-01-06 01:00"),
        (lambda f: f.assign(holiday=f["holiday"].mask(f["ds"] > CUTOFF)), "holiday"),
        (lambda f: f.assign(day_of_week="Someday"), "Someday"),
        (lambda f: f.assign(y=np.nan), "at least one observed value"),
        (lambda f: f.assign(y=f["y"].mask(f.index == 3, np.inf)), "infinite"),
        (lambda f: f.assign(ds=f["ds"].dt.tz_localize("UTC")), "without a time zone"),
        (lambda f: f.assign(ds=f["ds"].mask(f.index == 3)), "a timestamp in every row"),
        (lambda f: f[f["ds"] != "2020-01-15"], "none of 2020-01-15 00:00:00"),
        (lambda f: f.assign(ds=f["ds"].mask(f.index == 3, pd.Timestamp("1999-01-01"))), "none of 1999-01-02"),
        (lambda f: f.assign(ds=f["ds"] - pd.Timedelta(days=90_000)), "times from 1800 to 2200"),
        (lambda f: f.iloc[:0], "rows of the history"),
        (lambda f: f.assign(unique_id=[*f["unique_id"][1:], 5]), "other values in .'unique_id'"),
        (lambda f: f.assign(line=f["line"].replace("red", "green")), "green for rail at 2020-01-01"),
    ],
    ids=[
        *("column", "series missing", "series unknown", "double", "off grid", "missing known", "level", "nothing seen"),
        *("infinite", "time zone", "no time", "gap", "stray", "far away", "no rows", "number as name", "static level"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_was_found(change: object, told: str) -> None:
    made = served()
    made.forecaster.takes_new_series = False
    with pytest.raises(DataError, match=told):
        serving.forecast(made, change(inputs()), 3)  # type: ignore[operator]


@pytest.mark.parametrize("inputs_of", ["each", "joint"])
def test_a_series_of_a_few_days_is_forecast_by_a_global_model_without_a_band(inputs_of: str, tmp_path: Path) -> None:
    whole = canonical()
    born = whole[whole["unique_id"] == "bus"].assign(unique_id="tram", y=lambda f: f["y"].where(f["ds"] > "2020-02-05"))
    network = synthetic.network(inputs=inputs_of, lookback=14)
    model = models.build(network, synthetic.context(horizon=2, validation_steps=14, max_epochs=2))
    model.fit(table(serving.inputs(whole, SPEC, CUTOFF, 3), SPEC).panel)
    models.save(model, tmp_path / "model")
    told = serving.write(tmp_path / "serving.json", SPEC, ("bus", "rail"), offsets(-5.0, 5.0))
    known = serving.read(tmp_path / "model", told)
    more = serving.inputs(pd.concat([whole, born]), SPEC, CUTOFF, 3)
    if inputs_of == "joint":
        with pytest.raises(DataError, match="rail', 'tram"):
            serving.forecast(known, more, 2)
        return
    rows = serving.forecast(known, more, 2)
    assert rows.groupby("unique_id").size().to_dict() == {"bus": 2, "rail": 2, "tram": 2}
    assert rows.set_index("unique_id")["q0.1"].isna().groupby("unique_id").all().to_dict() == {
        "bus": False,
        "rail": False,
        "tram": True,
    }
    assert np.isfinite(rows["y_hat"]).all()


def test_a_series_that_came_after_the_fit_of_a_model_per_series_is_forecast_by_its_fallback() -> None:
    whole = canonical()
    born = whole[whole["unique_id"] == "bus"].assign(unique_id="tram", y=lambda f: f["y"].where(f["ds"] > "2020-01-25"))
    model = models.build(AutoEts(family="auto_ets", train_steps=None), synthetic.context(horizon=2))
    model.fit(table(serving.inputs(whole, SPEC, CUTOFF, 3), SPEC).panel)
    more = serving.inputs(pd.concat([whole, born]), SPEC, CUTOFF, 3)
    rows = serving.forecast(replace(served(), forecaster=model), more, 2)
    assert rows.groupby("unique_id").size().to_dict() == {"bus": 2, "rail": 2, "tram": 2}
    season = 7
    before = more[(more["unique_id"] == "tram") & (more["ds"] <= CUTOFF)].sort_values("ds")["y"].to_numpy()
    tram = rows[rows["unique_id"] == "tram"].sort_values("ds")["y_hat"].to_numpy()
    np.testing.assert_array_equal(tram, before[-season : -season + 2])


def test_a_series_without_any_observation_breaks_the_output_contract_and_is_refused_in_a_request() -> None:
    frame = inputs()
    frame.loc[frame["unique_id"] == "rail", "y"] = np.nan
    with pytest.raises(DataError, match=r"none of 1 series, .'rail'"):
        serving.forecast(served(), frame, 3)
    with pytest.raises(OutputError, match="rail"):
        serving.from_table(served(), table(frame, SPEC), 3)


def test_missing_past_covariates_that_leave_no_forecast_are_the_request_s_fault() -> None:
    spec = replace(SPEC, past=("trains",))
    asked = serving.inputs(canonical().assign(trains=5.0), spec, CUTOFF, 3)
    made = replace(served(), spec=spec, forecaster=LastOfPast())
    assert (serving.forecast(made, asked, 3)["y_hat"] == 5.0).all()
    asked.loc[asked["ds"] == CUTOFF, "trains"] = np.nan
    with pytest.raises(DataError, match="every past covariate"):
        serving.forecast(made, asked, 3)
