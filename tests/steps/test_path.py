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
from daycast.steps import backtest, fit, transform, tune, window
from daycast.steps.data import frame
from daycast.steps.reference import DataRef, FoldsRef
from daycast.steps.split import split

pytestmark = pytest.mark.xdist_group("flows")

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
        "bands": tune.offsets(project.settings, tuned).to_json(double_precision=15),
        **{name: key(name, content.hex()) for name, content in files.items()},
    }
    return Walked(parts, pd.read_parquet(project.settings.cache("backtest", tested.key) / backtest.ROWS))


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
    told = [w.rows.drop(columns="y")[w.rows["cutoff"] == first].reset_index(drop=True) for w in (truth, found)]
    assert len(told[0]) == 2 * 7
    pd.testing.assert_frame_equal(*told, check_exact=True)
    at_end = [w.rows.loc[w.rows["cutoff"] == last, "y_hat"].to_numpy() for w in (truth, found)]
    assert np.abs(at_end[0] - at_end[1]).min() > 0  # where they may be seen, later data do count
