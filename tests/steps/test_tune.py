"""Choosing on the validation folds: what is minimised, and what no trial may see."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.project import Project

from daycast import models
from daycast.config import Config
from daycast.core import backtest, conformal, windows
from daycast.core.split import history as split_history
from daycast.errors import HistoryError, ModelError
from daycast.models.neural import NeuralForecaster
from daycast.steps import fit, forecaster, judge, progress, transform, tune, window
from daycast.steps.data import table
from daycast.steps.reference import FoldsRef
from daycast.steps.split import split

pytestmark = pytest.mark.xdist_group("flows")


@pytest.fixture
def folds(project: Project) -> FoldsRef:
    """Of the project's backtest."""
    return split(project.settings, project.config(), project.data)


def observed(project: Project, series: str) -> pd.Series:
    """A series by day, read without daycast."""
    frame = pd.read_parquet(project.settings.root / "data/prepared/tiny.parquet")
    return frame[frame["unique_id"] == series].set_index("ds")["y"].dropna()


def test_folds_lie_back_to_back_and_end_where_the_test_begins(folds: FoldsRef) -> None:
    ends = [pd.Timestamp(fold.fit_cutoff) for fold in (*folds.validation, folds.test)]
    assert np.diff(ends).tolist() == [pd.Timedelta(days=28)] * 2
    for fold, end in zip(folds.validation, ends[1:], strict=True):
        assert pd.Timestamp(fold.cutoffs[0]) == pd.Timestamp(fold.fit_cutoff)
        assert pd.Timestamp(fold.cutoffs[-1]) + pd.Timedelta(days=fold.horizon) == end
    assert folds.test.fit_cutoff == folds.test.cutoffs[0]


def test_folds_that_do_not_fit_the_data_are_refused(project: Project) -> None:
    with pytest.raises(HistoryError, match="history before the 20 validation folds"):
        split(project.settings, project.config("backtest.n_folds=20", "backtest.fold_targets=60"), project.data)


def alone(project: Project, config: Config, folds: FoldsRef, parameters: dict[str, Any], seed: int) -> pd.DataFrame:
    """Rows of the validation folds by one network of ``gru``."""
    whole, made = table(project.settings, config, project.data), []
    model = forecaster.with_parameters(config.model["gru"], parameters)
    for fold in folds.validation:
        network = models.build(model, forecaster.context(config, seed))
        network.fit(split_history(whole, fold.fold()))
        made.append(backtest.with_actuals(backtest.forecasts(network, whole, fold.fold()), whole))
    return pd.concat(made)


@pytest.mark.parametrize(("metric", "series"), [("mae", ["rail"]), ("rmse", ["bus"]), ("mae", ["bus", "rail"])])
def test_the_objective_is_the_mean_over_the_folds_of_the_metric_in_raw_units_on_the_chosen_series(
    project: Project, folds: FoldsRef, metric: str, series: list[str]
) -> None:
    config = project.config(
        "model=[seasonal_naive]", f"backtest.metric={metric}", f"backtest.series=[{','.join(series)}]"
    )
    found = tune.tune(project.settings, config, project.data, folds, "seasonal_naive")
    values = []
    for fold in folds.validation:
        for name in series:
            y = observed(project, name)
            days = [pd.Timestamp(c) + pd.Timedelta(days=h) for c in fold.cutoffs for h in range(1, 8)]
            errors = np.array([y[day] - y[day - pd.Timedelta(days=7)] for day in days])
            values.append(np.abs(errors).mean() if metric == "mae" else np.sqrt((errors**2).mean()))
    assert found.value == pytest.approx(np.mean(values), rel=1e-12)
    assert (found.study, found.n_trials, found.n_pruned, found.parameters) == (None, 1, 0, {})


def test_no_validation_row_lies_after_the_final_fit_s_cutoff_and_none_is_fitted_on(
    project: Project, folds: FoldsRef
) -> None:
    found = tune.tune(project.settings, project.config(), project.data, folds, "gru")
    rows = tune.calibration(project.settings, found)
    assert rows["ds"].max() == pd.Timestamp(folds.test.fit_cutoff)
    assert len(rows) == 2 * 2 * 4 * 7  # folds, series, origins, steps
    by_fold = [rows[rows["cutoff"] >= fold.fit_cutoff]["ds"].min() for fold in folds.validation]
    assert by_fold == [pd.Timestamp(fold.fit_cutoff) + pd.Timedelta(days=1) for fold in folds.validation]


def test_a_search_can_be_read_back_without_its_study(project: Project, folds: FoldsRef) -> None:
    found = tune.tune(project.settings, project.config(), project.data, folds, "gru")
    trials = tune.trials(project.settings, found)
    assert [t.number for t in trials] == [0, 1]
    assert trials[0].parameters == {"hidden": 6}  # the configured value is tried first
    assert min(t.value for t in trials if t.value is not None) == trials[found.trial].value
    assert sorted(trials[0].curve) == [1, 2, 4]  # an epoch of the first fold, and the ends of both
    assert trials[0].curve[4] == trials[0].value


def test_intervals_are_calibrated_by_rows_of_as_many_networks_as_are_fitted_in_the_end(
    project: Project, folds: FoldsRef
) -> None:
    config = project.config()
    found = tune.tune(project.settings, config, project.data, folds, "gru")
    best = min(tune.trials(project.settings, found), key=lambda t: t.value or np.inf)
    assert (found.trial, found.parameters) == (best.number, best.parameters)
    rows = tune.calibration(project.settings, found)
    each = [alone(project, config, folds, found.parameters, config.seed + i) for i in range(2)]
    np.testing.assert_allclose(rows["y_hat"], np.mean([one["y_hat"] for one in each], axis=0), rtol=1e-9)
    whole = table(project.settings, config, project.data)
    values = [judge.value(config, whole, f, rows[rows["cutoff"].isin(f.fold().cutoffs)]) for f in folds.validation]
    assert found.value == pytest.approx(np.mean(values), rel=1e-12)
    offsets = conformal.offsets(rows)
    assert list(offsets.index) == [(name, step) for name in ("bus", "rail") for step in range(1, 8)]
    assert list(offsets.columns) == ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]
    # Eight residuals a step are too few, so each step takes those of all steps: the ceil(57 * 0.9)-th of 56.
    expected = rows.assign(r=rows["y"] - rows["y_hat"]).groupby("unique_id")["r"].apply(lambda r: sorted(r)[51])
    assert offsets["q0.9"].unstack().sub(expected, axis=0).abs().to_numpy().max() < 1e-6


def test_a_metric_without_a_value_is_said_and_not_searched_by(project: Project) -> None:
    config = project.config("model=[seasonal_naive]", "backtest.start=2019-09-01", "backtest.n_folds=1")
    data = config.dataset.model_copy(update={"season_length": 50})
    config = config.model_copy(update={"dataset": data})
    folds = split(project.settings, config, project.data)
    short = folds.validation[0].model_copy(update={"start": "2019-09-20", "fit_cutoff": "2019-10-29"})
    with pytest.raises(ModelError, match="a value of mase on validation-1"):
        tune.tune(
            project.settings, config, project.data, folds.model_copy(update={"validation": (short,)}), "seasonal_naive"
        )


def test_arrays_of_a_fold_end_at_its_cutoff_and_are_mapped_not_copied(project: Project, folds: FoldsRef) -> None:
    config = project.config()
    history = table(project.settings, config, project.data).panel
    for fold in (*folds.validation, folds.test):
        made = transform.arrays(project.settings, config, project.data, fold, config.model["gru"])
        assert made.inputs.shape[1] == history.position(pd.Timestamp(fold.fit_cutoff)) + 1
        assert all(isinstance(part, np.memmap) and not part.flags.writeable for part in made[:3])
        found = window.load_windows(project.settings, config, project.data, fold, config.model["gru"])
        assert found is not None
        assert np.shares_memory(found.inputs, found.inputs[:, 3:])
        assert isinstance(found.inputs, np.memmap)
        assert len(found) == made.inputs.shape[1] - 14 - 7 + 1
        direct = windows.starts(made, 14, 7)
        np.testing.assert_array_equal(found.runs.rows, direct.rows)
        assert direct.rows.nbytes == 3 * 4  # one run, whatever the number of windows


def test_a_state_tells_the_fold_s_own_scale(project: Project, folds: FoldsRef) -> None:
    config = project.config()
    for fold in folds.validation:
        file = transform.state_file(project.settings, config, project.data, fold, config.model["gru"])
        (state,) = json.loads(file.read_text())["transform"]["states"]
        seen = [observed(project, name)[: fold.fit_cutoff].mean() for name in ("bus", "rail")]
        assert state["shift"] == pytest.approx(seen)


RECIPES = {
    "standard": [{"kind": "scale", "method": "standard"}],
    "thousands": [{"kind": "difference", "lags": [7]}, {"kind": "scale", "method": "none"}],
}


def searching(config: Config, name: str, search: dict[str, object], trials: int) -> Config:
    """With another space of one model, and so many trials."""
    told = json.loads(config.model_dump_json())
    told["model"][name]["search"] = search
    told["tuning"]["n_trials"] = trials
    return Config.model_validate_json(json.dumps(told))


def recipes(**values: object) -> dict[str, object]:
    return {"kind": "variants", "values": {n: {"transforms": v} for n, v in values.items()}}


def choice(*values: object) -> dict[str, object]:
    return {"kind": "choice", "values": list(values)}


@pytest.mark.parametrize(
    "drawn",
    [
        {"lookback": 9},
        {"train_steps": 150},
        {"transforms": "thousands"},
        {"transforms": "thousands", "lookback": 21, "train_steps": 200},
    ],
    ids=str,
)
def test_a_trial_s_own_recipe_gets_its_own_windows(project: Project, folds: FoldsRef, drawn: dict[str, object]) -> None:
    space = {"lookback": choice(9, 21), "train_steps": choice(150, 200), "transforms": recipes(**RECIPES)}
    config = searching(project.config(), "gru", space, 2)
    given = (project.settings, config, project.data)
    for fold in folds.validation:
        history = split_history(table(*given), fold.fold())
        found = {}
        for parameters in ({}, drawn):
            model = forecaster.with_parameters(config.model["gru"], parameters)
            made = NeuralForecaster(model, forecaster.context(config, 1)).prepare_windows(history)[1]
            found[str(parameters)] = loaded = window.load_windows(*given, fold, model)
            assert (loaded.lookback, loaded.horizon) == (made.lookback, made.horizon) == (model.lookback, 7)
            np.testing.assert_array_equal(loaded.inputs, made.inputs)
            np.testing.assert_array_equal(loaded.starts, made.starts)
        base, other = found.values()
        assert len(base) != len(other)


def test_trials_of_any_recipe_and_loss_are_compared_in_the_metric_s_units(project: Project, folds: FoldsRef) -> None:
    """Their losses are not comparable: of one recipe they are about 1, of the other some hundred thousand."""
    space = {"transforms": recipes(**RECIPES), "loss": choice("huber", "mse")}
    config = searching(project.config("seed=5", "backtest.metric=mae"), "gru", space, 6)
    found = tune.tune(project.settings, config, project.data, folds, "gru")
    trials = tune.trials(project.settings, found)
    assert {t.parameters["transforms"] for t in trials} == set(RECIPES)
    whole = [t for t in trials if t.state == "complete" and not t.reason]
    assert len(whole) >= 3
    first = folds.validation[0].fit_cutoff, folds.validation[1].fit_cutoff
    for trial in whole:
        rows = alone(project, config, folds, trial.parameters, config.seed)
        rows = rows[(rows["cutoff"] >= first[0]) & (rows["cutoff"] < first[1])]
        assert trial.curve[2] == pytest.approx((rows["y"] - rows["y_hat"]).abs().mean(), rel=1e-9)
        assert 0.2 < trial.curve[1] / trial.curve[2] < 5  # after one epoch and after two
    assert trials[found.trial].value == min(t.value for t in whole if t.value is not None)


def test_a_draw_that_leaves_too_little_history_is_pruned_with_its_reason(project: Project, folds: FoldsRef) -> None:
    config = searching(project.config("seed=6"), "gru", {"train_steps": choice(40, None)}, 5)
    found = tune.tune(project.settings, config, project.data, folds, "gru")
    trials = tune.trials(project.settings, found)
    assert found.parameters == {"train_steps": None}
    assert {t.parameters["train_steps"]: t.state for t in trials} == {None: "complete", 40: "pruned"}
    first = next(t for t in trials if t.state == "pruned")
    assert first.reason.startswith("refused, HistoryError: ")
    assert (first.share, first.curve) == (0, {})


def test_a_family_without_epochs_is_searched_fold_by_fold(project: Project, folds: FoldsRef) -> None:
    space = {"penalty": choice(0.01, 100.0), "profile.window": choice(2, 6)}
    config = searching(project.config("model=[naive,linear]"), "linear", space, 8)
    found = tune.tune(project.settings, config, project.data, folds, "linear")
    trials = tune.trials(project.settings, found)
    assert trials[0].parameters == {"penalty": 0.01, "profile.window": 6}
    assert sorted(trials[0].curve) == [1, 2]  # folds
    values = {str(t.parameters): t.value for t in trials if t.value is not None}
    for parameters in [t.parameters for t in trials if t.value is not None and not t.reason]:
        model = forecaster.with_parameters(config.model["linear"], parameters)
        alone = config.model_copy(
            update={"model": {"linear": model}, "tuning": config.tuning.model_copy(update={"n_trials": 0})}
        )
        assert tune.tune(project.settings, alone, project.data, folds, "linear").value == values[str(parameters)]
    assert found.value == min(values.values())
    fitted = fit.fit(project.settings, config, project.data, folds, found)
    saved = json.loads((project.settings.cache("fit", fitted.key) / fit.MODEL / "config.json").read_text())["model"]
    assert saved["penalty"] == found.parameters["penalty"]
    assert saved["profile"]["window"] == found.parameters["profile.window"]


def test_half_filled_folders_are_never_taken(project: Project) -> None:
    folder = project.settings.cache("fit", "half")

    def fails(_into: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transform.kept(folder, fails)
    assert not folder.exists()
    assert not list(folder.parent.glob(".half*"))
    transform.kept(folder, lambda into: (into / "a").write_text("first"))
    transform.kept(folder, lambda into: (into / "a").write_text("second"))
    assert (folder / "a").read_text() == "first"


def test_a_fit_that_was_interrupted_leaves_nothing_under_its_key_and_can_be_run_again(
    project: Project, folds: FoldsRef
) -> None:
    config = project.config("seed=21", "tuning=none")
    tuned = tune.tune(project.settings, config, project.data, folds, "gru")
    before = project.kept("fit")

    def interrupt(event: progress.Event) -> None:
        if event.step == "fit":
            raise KeyboardInterrupt

    with progress.listening(interrupt), pytest.raises(KeyboardInterrupt):
        fit.fit(project.settings, config, project.data, folds, tuned)
    assert project.kept("fit") == before
    made = fit.fit(project.settings, config, project.data, folds, tuned)
    assert project.kept("fit") == before | {made.key}
    assert fit.fit(project.settings, config, project.data, folds, tuned) == made
