import numpy as np
import pandas as pd
import pytest

from daycast.core import split as splitting
from daycast.core.split import Fold, Plan, actuals, history, origins, split
from daycast.errors import HistoryError
from tests.core.builders import count_up, noise_table

DAY = pd.Timestamp


def plan(**changes) -> Plan:
    values = {
        "horizon": 5,
        "step_size": 3,
        "n_targets": 20,
        "first_target": None,
        "last_target": None,
        "fit_cutoff": None,
        "start": None,
        "n_folds": 2,
        "fold_targets": 10,
    }
    return Plan(**{**values, **changes})


def position(panel, when) -> int:
    return list(panel.ds).index(when)


def test_the_test_window_by_count_is_the_end_of_the_data():
    panel = count_up(60).panel
    test = split(panel, plan()).test
    assert test.name == "test"
    assert [position(panel, c) for c in test.cutoffs] == [39, 42, 45, 48, 51, 54]
    assert position(panel, test.fit_cutoff) == 39


def test_the_test_window_by_date_is_inclusive_at_both_ends():
    panel = count_up(60).panel
    first, last = DAY("2024-02-10"), DAY("2024-02-20")
    test = split(panel, plan(n_targets=None, first_target=first, last_target=last, step_size=1, horizon=1)).test
    targets = test.cutoffs + pd.Timedelta(days=1)
    assert (targets[0], targets[-1], len(targets)) == (first, last, 11)
    assert test.fit_cutoff == DAY("2024-02-09")


def test_a_last_target_moves_a_window_given_by_count():
    panel = count_up(60).panel
    test = split(panel, plan(last_target=panel.ds[49])).test
    assert [position(panel, c) for c in test.cutoffs] == [29, 32, 35, 38, 41, 44]


def test_a_plan_without_a_window_tests_one_horizon():
    test = split(count_up(60).panel, plan(n_targets=None)).test
    assert list(test.cutoffs) == [DAY("2024-02-24")]


def test_one_day_ahead_with_an_earlier_fit_has_the_published_95_origins():
    panel = noise_table(365 + 151, names=("rail",)).panel
    first = panel.ds[365 + 56]
    laid = split(panel, plan(horizon=1, step_size=1, n_targets=None, first_target=first, fit_cutoff=panel.ds[364]))
    assert len(laid.test.cutoffs) == 95
    assert position(panel, laid.test.fit_cutoff) == 364
    assert position(panel, laid.test.cutoffs[0]) == 365 + 55


@pytest.mark.parametrize("horizon", [1, 4, 7])
@pytest.mark.parametrize("step_size", [1, 2, 5])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_nothing_chosen_on_validation_has_seen_a_test_target(horizon, step_size, n_folds):
    panel = count_up(100).panel
    laid = split(panel, plan(horizon=horizon, step_size=step_size, n_folds=n_folds))
    first_test_target = laid.test.cutoffs[0] + pd.Timedelta(days=1)
    assert laid.test.fit_cutoff < first_test_target
    for fold in laid.validation:
        targets = [c + pd.Timedelta(days=h) for c in fold.cutoffs for h in range(1, horizon + 1)]
        assert min(fold.cutoffs) >= fold.fit_cutoff
        assert max(targets) <= laid.test.fit_cutoff < first_test_target
        assert fold.horizon == horizon
        assert set(np.diff([position(panel, c) for c in fold.cutoffs])) <= {step_size}
    ends = [position(panel, f.fit_cutoff) for f in laid.validation] + [position(panel, laid.test.fit_cutoff)]
    assert set(np.diff(ends)) == {10}
    assert [f.name for f in laid.validation] == [f"validation-{k + 1}" for k in range(n_folds)]


def test_a_window_smaller_than_the_horizon_has_no_origin():
    with pytest.raises(HistoryError) as error:
        split(count_up(60).panel, plan(n_targets=4))
    assert "5 targets" in error.value.expected
    assert "4 timestamps" in error.value.found


def test_a_window_longer_than_the_data_is_refused():
    with pytest.raises(HistoryError):
        split(count_up(60).panel, plan(n_targets=60))


def test_a_validation_window_smaller_than_the_horizon_is_refused():
    with pytest.raises(HistoryError):
        split(count_up(60).panel, plan(fold_targets=3))


def test_a_window_that_ends_before_it_starts_is_refused():
    panel = count_up(60).panel
    with pytest.raises(HistoryError) as error:
        split(panel, plan(n_targets=None, first_target=panel.ds[40], last_target=panel.ds[30]))
    assert error.value.found.startswith("0 timestamps")


def test_a_fit_that_would_see_a_target_is_refused():
    panel = count_up(60).panel
    for late in (40, 45):
        with pytest.raises(HistoryError) as error:
            split(panel, plan(fit_cutoff=panel.ds[late]))
        assert "fit_cutoff" in error.value.expected
    assert split(panel, plan(fit_cutoff=panel.ds[39])).test.fit_cutoff == panel.ds[39]


def test_folds_that_leave_nothing_to_fit_on_are_refused():
    panel = count_up(60).panel
    with pytest.raises(HistoryError) as error:
        split(panel, plan(n_folds=4))
    assert "40 timestamps" in error.value.found
    with pytest.raises(HistoryError) as error:
        split(panel, plan(start=panel.ds[19]))
    assert "21 timestamps" in error.value.found
    assert split(panel, plan(start=panel.ds[18])).validation[0].fit_cutoff == panel.ds[19]


@pytest.mark.parametrize("key", ["first_target", "last_target", "fit_cutoff", "start"])
def test_a_date_outside_the_data_is_refused(key):
    with pytest.raises(HistoryError):
        split(count_up(60).panel, plan(**{key: DAY("2030-01-01")}))


def test_a_fit_sees_from_its_start_to_its_cutoff():
    table = count_up(60)
    days = table.panel.ds
    all_of_it = history(table, Fold("test", None, days[30], days[30:31], 2))
    later = history(table, Fold("test", days[10], days[30], days[30:31], 2))
    np.testing.assert_array_equal(all_of_it.y[0], np.arange(31))
    np.testing.assert_array_equal(later.y[0], np.arange(10, 31))


def test_a_start_after_the_cutoff_leaves_no_history():
    table = count_up(60)
    with pytest.raises(HistoryError):
        history(table, Fold("test", table.panel.ds[31], table.panel.ds[30], table.panel.ds[30:31], 2))


def test_an_origin_holds_history_to_its_cutoff_and_the_known_future_after():
    table = count_up(60)
    made = origins(table, table.panel.ds[[20, 30]], 4)
    assert [o.cutoff for o in made] == list(table.panel.ds[[20, 30]])
    np.testing.assert_array_equal(made[1].history.y[0], np.arange(31))
    assert list(made[1].future.ds) == list(table.panel.ds[31:35])
    np.testing.assert_array_equal(made[1].future.known, table.panel.known[31:35])


def test_actuals_are_what_came_after_and_missing_beyond_the_end():
    table = count_up(60)
    came = actuals(table, table.panel.ds[[20, 57]], 4)
    np.testing.assert_array_equal(came[0], [[21, 22, 23, 24], [121, 122, 123, 124]])
    np.testing.assert_array_equal(came[1], [[58, 59, np.nan, np.nan], [158, 159, np.nan, np.nan]])


def test_origins_between_keeps_every_target_inside():
    panel = count_up(60).panel
    found = splitting.origins_between(panel, 10, 20, plan(horizon=3, step_size=4))
    assert [position(panel, c) for c in found] == [9, 13, 17]
