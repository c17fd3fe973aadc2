import tracemalloc

import numpy as np
import pytest

from daycast.core.permutation import permuted


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65, 1000, 65_537])
@pytest.mark.parametrize("key", [0, 7, 2**64 - 1])
def test_it_takes_each_number_to_another_one_below_the_count(count: int, key: int) -> None:
    assert sorted(permuted(np.arange(count), count, key).tolist()) == list(range(count))


def test_another_key_is_another_order_and_the_same_key_the_same() -> None:
    index = np.arange(5000)
    one, again, other = (permuted(index, 5000, key) for key in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one == other).mean() < 0.01
    assert (one == index).mean() < 0.01


def test_any_part_of_it_can_be_read_alone() -> None:
    whole = permuted(np.arange(100_003), 100_003, 5)
    index = np.array([[3, 99_999], [0, 71]])
    np.testing.assert_array_equal(permuted(index, 100_003, 5), whole[index])


def test_neighbours_are_spread_evenly_and_tell_nothing_of_each_other() -> None:
    count = 200_003
    order = permuted(np.arange(count), count, 42)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.01
    found = np.bincount(order[:20_000] * 100 // count, minlength=100)
    assert ((found - 200) ** 2 / 200).sum() < 150  # of a hundred bins; a fair draw's is 99 give or take 14


def test_of_a_billion_it_needs_no_list() -> None:
    tracemalloc.start()
    try:
        permuted(np.arange(1024), 10**9, 3)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
