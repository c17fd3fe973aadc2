"""The pipeline's own models at published windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ROOT

from daycast.config import compose
from daycast.config.reproduce import FittedRow, publication
from daycast.core import frame, reproduce, split
from daycast.core.frame import FrameSpec, Table
from daycast.settings import Settings
from daycast.steps import keys
from daycast.steps.reference import DataRef
from daycast.steps.shipped import Shipped

TOLD = publication(ROOT)


@pytest.fixture(scope="module")
def table() -> Table:
    """Days of 2001 to 2020, whatever happened on them."""
    days = pd.date_range("2001-01-01", "2020-12-31")
    return frame.table(
        pd.DataFrame({"unique_id": "rail", "ds": days, "y": np.arange(len(days)) + 1.0}), FrameSpec("D", 7)
    )


@pytest.fixture
def shipped(tmp_path: Path) -> Shipped:
    return Shipped(Settings(ROOT, tmp_path, "", "", ""), TOLD, ("tuning=none",))


@pytest.mark.parametrize(
    ("window", "until", "first", "last", "horizon"),
    [
        ("p1", "2018-12-31", "2019-02-26", "2019-05-31", 1),
        ("p2_but_last", "2018-12-31", "2019-02-26", "2019-05-31", 14),
        ("p3_1", "2019-05-31", "2019-06-01", "2020-02-29", 1),
        ("p3_14", "2019-05-31", "2019-06-01", "2020-02-29", 14),
    ],
)
def test_nothing_is_fitted_or_chosen_after_the_protocols_day_and_no_target_lies_before_the_window(
    shipped: Shipped, table: Table, window: str, until: str, first: str, last: str, horizon: int
) -> None:
    plan = shipped.config("lightgbm", window).backtest.plan()
    folds = split.split(table.panel, plan)
    day, end = pd.Timedelta(days=1), pd.Timestamp(until)
    assert split.history(table, folds.test).cutoff == end
    assert folds.test.horizon == horizon
    assert folds.test.cutoffs[0] + day == pd.Timestamp(first)
    assert folds.test.cutoffs[-1] + horizon * day == pd.Timestamp(last)
    assert max(fold.cutoffs[-1] + horizon * day for fold in folds.validation) == end
    own = TOLD.windows[window]
    wanted = reproduce.cutoffs(pd.Timestamp(own.first), pd.Timestamp(own.last), own.horizon)
    assert set(wanted) <= set(folds.test.cutoffs)


def test_the_judge_has_274_targets_one_day_ahead_and_261_origins_two_weeks_ahead() -> None:
    at = {
        name: reproduce.cutoffs(pd.Timestamp(w.first), pd.Timestamp(w.last), w.horizon)
        for name, w in TOLD.windows.items()
    }
    assert {name: len(own) for name, own in at.items() if name[:2] in ("p2", "p3")} == {
        "p2": 82,
        "p2_but_last": 81,
        "p3_1": 274,
        "p3_14": 261,
    }
    for name, row in TOLD.rows.items():
        if name.startswith("p3") and isinstance(row, FittedRow):
            assert pd.Timestamp(row.fit_cutoff) == at[row.window][0] == pd.Timestamp("2019-05-31")


def test_a_blend_brings_its_members_into_the_run_before_it(shipped: Shipped) -> None:
    members = ("gru_one_step", "gru_profile", "gru_profile_long", "lightgbm", "lightgbm_long")
    assert shipped.members["blend"] == members
    assert shipped.members["lightgbm"] == ()
    assert tuple(shipped.config("blend", "p3_14").model) == ("seasonal_naive", *members, "blend")
    assert tuple(shipped.config("seasonal_naive_364", "p1").model) == ("seasonal_naive", "seasonal_naive_364")


def test_at_p3_two_weeks_ahead_ours_are_those_of_a_run_of_that_protocol(shipped: Shipped) -> None:
    data = DataRef(dataset="cta", version="v", pointers={})
    run = compose(ROOT, ["dataset=cta", "backtest=p3", "tuning=none", "model=[seasonal_naive,lightgbm]"])
    assert keys.backtest(shipped.config("lightgbm", "p3_14"), data, "lightgbm") == keys.backtest(run, data, "lightgbm")
