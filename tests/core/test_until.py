"""A frame as it stood on an earlier day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from daycast.core import until as core
from daycast.core.frame import FrameSpec, table
from daycast.core.until import until
from daycast.errors import HistoryError

SPEC = FrameSpec(freq="D", season_length=7, known={"holiday": None}, past=("rain",))
DAY = pd.Timestamp("2024-01-05")


def frame(freq: str = "D", periods: int = 10) -> pd.DataFrame:
    """Series `old`, and `new`, which begins on the seventh day; two rows of the future each."""
    ds = pd.date_range("2024-01-01", periods=periods + 2, freq=freq)
    rows = []
    for name, begins in (("new", 6), ("old", 0)):
        y = np.arange(len(ds), dtype=float) + 1
        y[:begins] = np.nan
        y[periods:] = np.nan
        rows.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": y, "rain": y * 2, "holiday": 0.0}))
    return pd.concat(rows, ignore_index=True)


def test_nothing_after_the_day_is_left_but_what_was_known_ahead() -> None:
    seen = until(frame(), SPEC, DAY)
    later = seen[seen["ds"] > DAY]
    assert len(later) == 7
    assert later[["y", "rain"]].isna().all(axis=None)
    assert later["holiday"].notna().all()
    assert table(seen, SPEC).panel.cutoff == DAY


def test_a_series_that_begins_later_is_not_there_yet() -> None:
    assert set(until(frame(), SPEC, DAY)["unique_id"]) == {"old"}
    assert set(until(frame(), SPEC, pd.Timestamp("2024-01-07"))["unique_id"]) == {"old", "new"}


def test_whatever_comes_later_the_frame_of_the_day_is_the_same() -> None:
    other = frame()
    late = other["ds"] > DAY
    other.loc[late, ["y", "rain"]] = -99.0
    pd.testing.assert_frame_equal(until(other, SPEC, DAY), until(frame(), SPEC, DAY)[lambda f: f["unique_id"] == "old"])


def test_all_of_the_day_itself_may_be_seen() -> None:
    seen = until(frame("6h", 40), SPEC, pd.Timestamp("2024-01-03"))
    assert seen.dropna(subset="y")["ds"].max() == pd.Timestamp("2024-01-03 18:00")


@pytest.mark.parametrize("hour", [0, 6, 12])
def test_at_a_timestamp_nothing_later_of_its_own_day_is_seen(hour: int) -> None:
    cutoff = pd.Timestamp("2024-01-03") + pd.Timedelta(hours=hour)
    rows = frame("6h", 40)
    late = rows["ds"] > cutoff
    other = rows.assign(y=rows["y"].mask(late & rows["y"].notna(), -99.0))
    spec = FrameSpec(freq="6h", season_length=4, known={"holiday": None}, past=("rain",))
    whole, changed = (core.upto(table(f, spec), cutoff) for f in (rows, other))
    assert whole.panel.cutoff == cutoff
    assert whole.beyond.ds[0] == cutoff + pd.Timedelta(hours=6)
    np.testing.assert_array_equal(whole.panel.y, changed.panel.y)


def test_a_day_before_all_data_is_refused_with_the_first_one() -> None:
    with pytest.raises(HistoryError, match="2024-01-01"):
        until(frame(), SPEC, pd.Timestamp("2023-12-31"))


def test_the_frame_that_was_given_stays_as_it_was() -> None:
    before = frame()
    until(before, SPEC, DAY)
    pd.testing.assert_frame_equal(before, frame())


@pytest.mark.parametrize("day", ["2024-01-01", "2024-01-05", "2024-01-07", "2024-01-10", "2024-02-01"])
def test_a_table_of_the_day_is_that_of_the_frame_of_the_day(day: str) -> None:
    whole = frame()
    whole.loc[whole["ds"] == DAY, "y"] = np.nan  # the newest observation is of the day before
    made = core.table(table(whole, SPEC), pd.Timestamp(day))
    expected = table(until(whole, SPEC, pd.Timestamp(day)), SPEC)
    for a, b in ((made.panel, expected.panel), (made.beyond, expected.beyond)):
        for name in a.__dataclass_fields__:
            found, wanted = getattr(a, name), getattr(b, name)
            if isinstance(wanted, np.ndarray):
                np.testing.assert_array_equal(found, wanted, err_msg=name)
                assert not found.flags.writeable
            else:
                assert list(found) == list(wanted) if name in ("ids", "ds") else found == wanted


def test_a_table_of_a_day_before_all_data_is_refused() -> None:
    with pytest.raises(HistoryError, match="2024-01-01"):
        core.table(table(frame(), SPEC), pd.Timestamp("2023-12-31"))
