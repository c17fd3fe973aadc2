"""The whole path from the data to a backtest sees nothing that came after the cutoff at which it forecasts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.project import Project

from daycast import models
from daycast.config import Config
from daycast.core.adaptive import adaptive
from daycast.core.backtest import forecasts, with_actuals
from daycast.core.content import key
from daycast.core.split import Fold
from daycast.steps import backtest, fit, intervals, serving, transform, tune, window
from daycast.steps.data import frame, table
from daycast.steps.reference import DataRef, FoldsRef
from daycast.steps.split import split

pytestmark = pytest.mark.xdist_group("flows")

QUANTILES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]
MODELS = ("gru", "gru_quantiles", "sarima", "day_type_naive")


def scrambled(project: Project, after: pd.Timestamp, folder: Path) -> DataRef:
    """A data version in which all values after a day are in another order."""
    changed = frame(project.settings, project.data).copy()
    later = (changed["ds"] > after).to_numpy() & changed["y"].notna().to_numpy()
    changed.loc[later, "y"] = np.random.default_rng(0).permutation(changed.loc[later, "y"].to_numpy())
    file = folder / "scrambled.parquet"
    changed.to_parquet(file)
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    kept = project.settings.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(exist_ok=True)
    file.rename(kept)
    return DataRef(dataset="tiny", version=md5, pointers={})


@dataclass(frozen=True)
class Walked:
    """What the path left.

    Attributes:
        parts: what was learned and chosen, each as a string.
        rows: the backtest's forecasts.
        offsets: what the next one's quantiles would be made with.
        calibration: forecasts of the validation folds.
        model: folder of the fitted model.
    """

    parts: dict[str, str]
    rows: pd.DataFrame
    offsets: pd.DataFrame
    calibration: pd.DataFrame
    model: Path


def walk(project: Project, config: Config, data: DataRef, folds: FoldsRef, name: str) -> Walked:
    """Every step from the data to the forecasts."""
    given = (project.settings, config, data, folds)
    arrays = transform.transform(*given, name)
    windows = window.window(*given, arrays)
    tuned = tune.tune(*given, windows.model)
    fitted = fit.fit(*given, tuned)
    tested = backtest.backtest(*given, fitted, tuned)
    learned = project.settings.cache("fit", fitted.key)
    files = {
        str(p.relative_to(learned)): p.read_bytes()
        for p in sorted(learned.rglob("*"))
        if p.is_file() and p.name != fit.REPORT  # it tells how long the fit took
    }
    calibration = tune.calibration(project.settings, tuned)
    parts = {
        "chosen": f"{tuned.parameters} {tuned.value}",
        "trials": str([(t.parameters, t.value, t.curve) for t in tune.trials(project.settings, tuned)]),
        "calibration": calibration.to_json(orient="records", double_precision=15),
        **{name: key(name, content.hex()) for name, content in files.items()},
    }
    rows, offsets = (
        pd.read_parquet(project.settings.cache("backtest", tested.key) / file)
        for file in (backtest.ROWS, backtest.OFFSETS)
    )
    return Walked(parts, rows, offsets, calibration, learned / fit.MODEL)


def same(rows: pd.DataFrame, others: pd.DataFrame, upto: pd.Timestamp) -> int:
    """Rows of cutoffs up to one, which must be equal to the bit, quantiles and all."""
    told = [w.drop(columns="y")[w["cutoff"] <= upto].reset_index(drop=True) for w in (rows, others)]
    assert told[0][QUANTILES].notna().all(axis=None)
    pd.testing.assert_frame_equal(*told, check_exact=True)
    return len(told[0])


@pytest.mark.parametrize("name", MODELS)
def test_choice_fit_bands_and_forecasts_are_the_same_bits_when_all_that_came_later_is_scrambled(
    project: Project, tmp_path: Path, name: str
) -> None:
    config = project.config(f"model=[naive,{name}]")
    folds = split(project.settings, config, project.data)
    first, *_, last = (pd.Timestamp(c) for c in folds.test.cutoffs)
    assert pd.Timestamp(folds.test.fit_cutoff) == first
    other = scrambled(project, first, tmp_path)
    truth = walk(project, config, project.data, folds, name)
    assert split(project.settings, config, other) == folds
    found = walk(project, config, other, folds, name)
    assert len(truth.parts) >= 4
    assert found.parts == truth.parts
    assert same(truth.rows, found.rows, first) == 2 * 7
    at_end = [w.rows.loc[w.rows["cutoff"] == last, "y_hat"].to_numpy() for w in (truth, found)]
    assert np.abs(at_end[0] - at_end[1]).min() > 0  # where they may be seen, later data do count


@pytest.mark.parametrize("name", ["gru", "gru_quantiles", "day_type_naive"])
@pytest.mark.parametrize("method", ["adaptive", "split"])
def test_no_interval_issued_by_a_day_moves_by_a_bit_when_all_that_came_after_it_is_scrambled(
    project: Project, tmp_path: Path, name: str, method: str
) -> None:
    config = project.config(f"model=[naive,{name}]", f"backtest.intervals.method={method}")
    folds = split(project.settings, config, project.data)
    cutoffs = [pd.Timestamp(c) for c in folds.test.cutoffs]
    truth = walk(project, config, project.data, folds, name)
    found = walk(project, config, scrambled(project, cutoffs[2], tmp_path), folds, name)
    assert found.parts == truth.parts
    assert same(truth.rows, found.rows, cutoffs[2]) == 3 * 2 * 7
    assert truth.offsets.equals(found.offsets) == (method == "split")  # the others follow what they may see


@pytest.mark.parametrize("name", ["naive", "gru_quantiles"])
@pytest.mark.parametrize("method", ["adaptive", "split"])
def test_what_a_model_is_served_with_is_what_its_backtest_would_have_issued_next(
    project: Project, tmp_path: Path, method: str, name: str
) -> None:
    config = project.config(f"model=[{','.join({'naive', name})}]", f"backtest.intervals.method={method}")
    folds = split(project.settings, config, project.data)
    walked = walk(project, config, project.data, folds, name)
    whole, levels = table(project.settings, config, project.data), intervals.learned(config, name)
    forecaster = models.load(walked.model)

    def made(fold: Fold) -> pd.DataFrame:
        return with_actuals(forecasts(forecaster, whole, fold, levels=levels), whole)

    test = folds.test.fold()
    rows, live = made(test), made(replace(test, cutoffs=pd.DatetimeIndex([whole.panel.cutoff])))
    assert live["y"].isna().all()
    issued = intervals.issued(config, name, pd.concat([rows, live]), walked.calibration).iloc[len(rows) :]
    spec, headed = config.dataset.spec(), intervals.headed(config, name)
    assert headed == bool(levels) == (name == "gru_quantiles")
    told = serving.write(tmp_path / "serving.json", spec, whole.panel.ids, walked.offsets, headed=headed)
    served = serving.read(walked.model, told)
    inputs = serving.inputs(frame(project.settings, project.data), spec, whole.panel.cutoff, 9)
    found = serving.forecast(served, inputs, 9)
    pd.testing.assert_frame_equal(
        found[found["step"] <= 7].reset_index(drop=True), issued.drop(columns="y").reset_index(drop=True), rtol=1e-9
    )
    assert issued[QUANTILES].notna().all(axis=None)
    assert (np.diff(issued[QUANTILES].to_numpy(), axis=1) >= 0).all()
    assert found.loc[found["step"] > 7, QUANTILES].isna().all(axis=None)


def test_a_head_and_bands_around_its_point_are_of_the_same_fit_and_forecasts(project: Project) -> None:
    found = {}
    for source in ("head", "point"):
        config = project.config("model=[naive,gru_quantiles]", f"backtest.intervals.source={source}")
        folds = split(project.settings, config, project.data)
        found[source] = walk(project, config, project.data, folds, "gru_quantiles")
    assert found["head"].parts == found["point"].parts
    assert found["head"].model == found["point"].model
    head, point = found["head"].rows, found["point"].rows
    pd.testing.assert_frame_equal(head.drop(columns=QUANTILES), point.drop(columns=QUANTILES))
    width = [(rows["q0.9"] - rows["q0.1"]).groupby([rows["unique_id"], rows["step"]]).std() for rows in (head, point)]
    assert (width[0] > 1.0).all()  # that of a head differs from day to day


@pytest.mark.parametrize(
    "override",
    [
        "model.gru_quantiles.horizon=3",
        "model.gru_quantiles.transforms=[{kind: difference, lags: [6]}, {kind: scale, method: standard, log1p: false}]",
    ],
    ids=["iterated", "differenced below the horizon"],
)
def test_a_model_whose_quantiles_would_not_hold_over_the_horizon_has_bands_around_its_point(
    project: Project, override: str
) -> None:
    config = project.config("model=[naive,gru_quantiles]", "tuning=none", override)
    assert intervals.learned(config, "gru_quantiles") == ()
    folds = split(project.settings, config, project.data)
    walked = walk(project, config, project.data, folds, "gru_quantiles")
    assert not set(QUANTILES) & set(walked.calibration)
    plain = walked.rows.drop(columns=QUANTILES)
    around = adaptive(plain, walked.calibration, floor=config.dataset.floor)
    pd.testing.assert_frame_equal(walked.rows, around)
