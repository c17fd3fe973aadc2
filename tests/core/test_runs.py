import numpy as np
import pytest

from daycast.core import runs


def some(seed: int = 0, groups: int = 6, starts: int = 40) -> np.ndarray:
    valid = np.random.default_rng(seed).random((groups, starts)) < 0.8
    valid[1], valid[2] = False, True
    return valid


def listed(of: runs.Runs) -> list[list[int]]:
    return np.stack(of.at(np.arange(len(of))), axis=1).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_runs_number_the_windows_as_a_list_of_them_would(seed: int) -> None:
    valid = some(seed)
    found = runs.of(valid)
    assert len(found) == valid.sum()
    assert listed(found) == np.argwhere(valid).tolist()
    index = np.random.default_rng(seed).permutation(len(found))[:17]
    assert np.stack(found.at(index), axis=1).tolist() == np.argwhere(valid)[index].tolist()
    assert found.counts(6).tolist() == valid.sum(axis=1).tolist()


def test_parts_of_the_groups_join_to_the_runs_of_all() -> None:
    valid = some()
    parts = [runs.of(valid[rows], rows.start) for rows in (slice(0, 2), slice(2, 5), slice(5, 6))]
    assert runs.joined(parts).rows.tolist() == runs.of(valid).rows.tolist()


@pytest.mark.parametrize(("first", "last"), [(0, 39), (5, 20), (20, 20), (30, 100), (-9, 3), (12, 11)])
def test_between_keeps_the_windows_that_start_there(first: int, last: int) -> None:
    valid = some()
    start = np.arange(valid.shape[1])
    expected = np.argwhere(valid & (start >= first) & (start <= last)).tolist()
    assert listed(runs.of(valid).between(first, last)) == expected


def test_a_long_series_costs_no_more_than_a_short_one() -> None:
    assert runs.of(np.ones((1, 100_000), dtype=bool)).rows.nbytes == runs.of(np.ones((1, 10), dtype=bool)).rows.nbytes


def test_without_any_window_there_are_none() -> None:
    nothing = runs.of(np.zeros((3, 5), dtype=bool))
    assert (len(nothing), len(runs.joined([])), listed(nothing)) == (0, 0, [])
