"""A blend of a run's models: weights from the validation folds, members as they were fitted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tests.project import Project

from daycast import models
from daycast.config import Config
from daycast.core import blending
from daycast.core.forecast import predict
from daycast.core.split import origins
from daycast.errors import ConfigError
from daycast.steps import blend, fit, judge, keys, tune
from daycast.steps.data import table
from daycast.steps.reference import FittedRef, FoldsRef, TunedRef
from daycast.steps.split import split

pytestmark = pytest.mark.xdist_group("flows")

MEMBERS = ["seasonal_naive", "day_type_naive"]
ROW = ["unique_id", "cutoff", "ds", "step"]


@pytest.fixture
def config(project: Project) -> Config:
    """A run of two naive models and their blend."""
    return project.config(f"model=[{','.join(MEMBERS)},blend]", f"model.blend.members=[{','.join(MEMBERS)}]")


@pytest.fixture
def folds(project: Project, config: Config) -> FoldsRef:
    """Of the project's backtest."""
    return split(project.settings, config, project.data)


def weighed(project: Project, config: Config, folds: FoldsRef) -> tuple[list[TunedRef], TunedRef]:
    given = (project.settings, config, project.data, folds)
    tuned = [tune.tune(*given, name) for name in MEMBERS]
    return tuned, blend.weigh(*given, "blend", tuned)


def test_weights_are_the_best_for_the_members_rows_of_all_folds(
    project: Project, config: Config, folds: FoldsRef
) -> None:
    tuned, made = weighed(project, config, folds)
    found = json.loads((project.settings.cache("tune", made.key) / blend.WEIGHTS).read_text())
    rows = [tune.calibration(project.settings, t).set_index(ROW) for t in tuned]
    forecasts = np.stack([r["y_hat"].reindex(rows[0].index).to_numpy() for r in rows])
    whole, scale = table(project.settings, config, project.data), np.full(forecasts.shape[1], np.nan)
    for fold in folds.validation:
        own = rows[0].index.get_level_values("cutoff").isin(fold.fold().cutoffs)
        scale[own] = rows[0].index.get_level_values("unique_id")[own].map(judge.scales(config, whole, fold))
    expected = blending.weights(forecasts, rows[0]["y"].to_numpy(), scale)
    np.testing.assert_allclose([w[0] for w in found.values()], expected)  # few rows a step: one weight for all steps
    assert list(found) == MEMBERS
    assert made.parameters == {f"weight.{m}": round(w, 4) for m, w in zip(MEMBERS, expected, strict=True)}


def test_each_fold_is_mixed_with_the_weights_of_the_other(project: Project, config: Config, folds: FoldsRef) -> None:
    tuned, made = weighed(project, config, folds)
    mixed = tune.calibration(project.settings, made)
    of_first = tune.calibration(project.settings, tuned[0])[ROW].reset_index(drop=True)
    pd.testing.assert_frame_equal(mixed[ROW], of_first)
    parts = [tune.calibration(project.settings, t).merge(mixed[ROW], on=ROW, validate="1:1") for t in tuned]
    between = (parts[0]["y_hat"] - parts[1]["y_hat"]).to_numpy()
    share = (mixed["y_hat"].to_numpy() - parts[1]["y_hat"].to_numpy())[np.abs(between) > 1] / between[
        np.abs(between) > 1
    ]
    fold = mixed["cutoff"].isin(folds.validation[0].fold().cutoffs).to_numpy()[np.abs(between) > 1]
    assert np.ptp(share[fold]) < 1e-6
    assert np.ptp(share[~fold]) < 1e-6
    values = [
        judge.value(
            config, table(project.settings, config, project.data), f, mixed[mixed["cutoff"].isin(f.fold().cutoffs)]
        )
        for f in folds.validation
    ]
    assert made.value == pytest.approx(np.mean(values))
    (trial,) = tune.trials(project.settings, made)
    assert trial.value == made.value


def test_it_is_joined_of_the_fitted_members(project: Project, config: Config, folds: FoldsRef) -> None:
    tuned, made = weighed(project, config, folds)
    given = (project.settings, config, project.data, folds)
    fitted: list[FittedRef] = [fit.fit(*given, t) for t in tuned]
    joined = blend.join(*given, made, fitted)
    whole = table(project.settings, config, project.data)
    at = origins(whole, folds.test.fold().cutoffs[:2], 7)
    own = [predict(models.load(project.settings.cache("fit", f.key) / fit.MODEL), at) for f in fitted]
    found = predict(models.load(project.settings.cache("fit", joined.key) / fit.MODEL), at)
    share = list(made.parameters.values())
    np.testing.assert_allclose(found, share[0] * own[0] + share[1] * own[1], rtol=1e-3)


def test_its_keys_follow_its_members(project: Project, config: Config) -> None:
    other = config.model_copy(
        update={
            "model": {**config.model, "seasonal_naive": config.model["seasonal_naive"].model_copy(update={"lag": 14})}
        }
    )
    for key in (keys.tune, keys.fit, keys.backtest):
        assert key(config, project.data, "blend") != key(other, project.data, "blend")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ("[seasonal_naive,gru]", r"\['gru'\] are not in the run"),
        ("[seasonal_naive,blend]", r"\['blend'\] are blends themselves"),
        ("[seasonal_naive,seasonal_naive]", "expected each name once"),
    ],
)
def test_members_must_be_other_models_of_the_run(project: Project, members: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.blend\.members.*{told}"):
        project.config(f"model=[{','.join(MEMBERS)},blend]", f"model.blend.members={members}")


def test_a_run_with_a_blend_registers_it_with_what_its_members_need(project: Project) -> None:
    chosen = ["model=[seasonal_naive,gru,day_type_naive,blend]", "model.blend.members=[gru,day_type_naive]"]
    outcome = project.train(*chosen, last="backtest")
    assert [t.model for t in outcome.tuned] == ["seasonal_naive", "gru", "day_type_naive", "blend"]
    from daycast.steps.register import _libraries

    assert _libraries(project.config(*chosen), "blend") == ("torch",)
    project.train(*chosen, last="backtest")
    assert {"tune blend", "fit blend", "backtest blend"} <= project.cached
