import numpy as np
import pytest
from numpy.testing import assert_array_equal

from daycast.core import arrays, parts, transform, windows
from daycast.core.transform import Difference, Scale
from tests.core.test_windows import panel


@pytest.mark.parametrize("steps", [[Scale("robust")], [Scale("none", log1p=True), Difference((7,)), Scale("standard")]])
@pytest.mark.parametrize("size", [1, 2, 5, 11, 100])
def test_a_transform_fitted_in_parts_has_the_bits_of_one_fitted_at_once(steps, size, monkeypatch):
    y = np.random.default_rng(0).gamma(2.0, 100.0, (11, 90))
    y[3, 20:60], y[4], y[5, 1:] = np.nan, np.nan, np.nan
    whole = transform.fit(steps, y)
    monkeypatch.setattr(parts, "SERIES", size)
    assert parts.fit(steps, y) == whole
    assert parts.joined([parts.fitted(whole, rows) for rows in parts.rows(11)]) == whole


def test_parts_of_a_panel_are_views_of_all_its_series_in_order(monkeypatch):
    monkeypatch.setattr(parts, "SERIES", 2)
    history = panel(n=5)
    found = [parts.panel(history, rows) for rows in parts.rows(5)]
    assert [part.ids for part in found] == [("s0", "s1"), ("s2", "s3"), ("s4",)]
    for name in ("y", "past", "static"):
        assert_array_equal(np.concatenate([getattr(part, name) for part in found]), getattr(history, name))
        assert all(np.shares_memory(getattr(part, name), getattr(history, name)) for part in found)


def test_windows_found_in_parts_are_those_found_at_once(monkeypatch):
    history = panel(n=7)
    history.y[2, 30:33], history.y[3, :80], history.past[5, 50, 0] = np.nan, np.nan, np.nan
    whole = windows.windows(history, history.y, 12, 5, "each")
    monkeypatch.setattr(parts, "SERIES", 3)
    assert_array_equal(windows.windows(history, history.y, 12, 5, "each").runs.rows, whole.runs.rows)
    made = windows.arrays(history, history.y, "each")
    joined = arrays.joined([made.groups(rows) for rows in parts.rows(7)])
    for name, array in made.named().items():
        assert_array_equal(joined.named()[name], array)
