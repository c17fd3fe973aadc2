"""Which times a request may have: those of the grid that the model's own were on."""

from __future__ import annotations

import pandas as pd
import pytest

from daycast.core.frame import FrameSpec
from daycast.errors import DataError
from daycast.steps import request


def asked(first: str, freq: str) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "a", "ds": pd.date_range(first, periods=6, freq=freq), "y": 1.0})


@pytest.mark.parametrize(("freq", "shift"), [("D", "3h"), ("h", "30min"), ("2D", "1D"), ("W-SUN", "1D"), ("MS", "1D")])
def test_times_between_those_of_the_grid_are_refused_however_regular_they_are(freq: str, shift: str) -> None:
    spec, example = FrameSpec(freq, 1), asked("2020-01-05", freq)
    for first in ("2020-03-05", "1964-03-05"):
        moved = asked(first, freq)
        assert len(request.table(moved, spec, example).panel.ds) == 6
        with pytest.raises(DataError, match="times on"):
            request.table(moved.assign(ds=moved["ds"] + pd.Timedelta(shift)), spec, example)


def test_a_grid_that_is_not_at_midnight_is_the_model_s_own() -> None:
    spec, example = FrameSpec("h", 24), asked("2020-01-05 00:15", "h")
    assert request.table(asked("2021-03-05 00:15", "h"), spec, example).panel.cutoff.minute == 15
    with pytest.raises(DataError, match="2021-03-05 00:00:00"):
        request.table(asked("2021-03-05", "h"), spec, example)
