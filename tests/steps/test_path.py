"""The whole path from the data to a backtest sees nothing that came after the cutoff at which it forecasts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.project import Project

from daycast.config import Config
from daycast.core.content import key
from daycast.core.forecast import band
from daycast.steps import backtest, fit, intervals, transform, tune, window
from daycast.steps.data import frame
from daycast.steps.reference import DataRef, FoldsRef
from daycast.steps.split import split

pytestmark = pytest.mark.xdist_group("flows")

QUANTILES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]
MODELS = ("gru", "sarima", "day_type_naive")


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
    """

    parts: dict[str, str]
    rows: pd.DataFrame


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
    parts = {
        "chosen": f"{tuned.parameters} {tuned.value}",
        "trials": str([(t.parameters, t.value, t.curve) for t in tune.trials(project.settings, tuned)]),
        "calibration": tune.calibration(project.settings, tuned).to_json(orient="records", double_precision=15),
        **{name: key(name, content.hex()) for name, content in files.items()},
    }
    return Walked(parts, pd.read_parquet(project.settings.cache("backtest", tested.key) / backtest.ROWS))


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


@pytest.mark.parametrize("name", ["gru", "day_type_naive"])
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
    later = [w.rows[w.rows["cutoff"] > cutoffs[3]] for w in (truth, found)]
    width = [(rows["q0.9"] - rows["y_hat"]).to_numpy() for rows in later]
    moved = np.abs(width[0] - width[1]).max() > 1e-6
    assert moved == (method == "adaptive")  # these follow what they may see


@pytest.mark.parametrize("method", ["adaptive", "split"])
def test_what_a_model_is_served_with_is_what_its_backtest_would_have_issued_next(project: Project, method: str) -> None:
    config = project.config("model=[naive]", f"backtest.intervals.method={method}")
    folds = split(project.settings, config, project.data)
    walked = walk(project, config, project.data, folds, "naive")
    tuned = tune.tune(project.settings, config, project.data, folds, "naive")
    calibration, rows = tune.calibration(project.settings, tuned), walked.rows.drop(columns=QUANTILES)
    now = rows["ds"].max()
    live = rows[rows["cutoff"] == rows["cutoff"].max()].assign(cutoff=now, y=np.nan)
    live["ds"] = now + pd.to_timedelta(live["step"], unit="D")
    issued = intervals.issued(config, pd.concat([rows, live]), calibration).iloc[len(rows) :]
    offsets = intervals.offsets(config, rows, calibration)
    pd.testing.assert_frame_equal(band(live, offsets, config.dataset.floor), issued, check_exact=True)
    assert issued[QUANTILES].notna().all(axis=None)
