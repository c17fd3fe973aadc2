import numpy as np
import pandas as pd
import pytest

from daycast.core import leakage
from daycast.core.leakage import SCRAMBLES, audit, scrambled
from daycast.errors import HistoryError, ModelError
from tests.core.builders import Headed, SeasonalNaive, daily_spec, daily_table, long_frame, noise_table

DAYS = pd.date_range("2024-01-01", periods=120)
FIT, CUTOFFS = DAYS[80], DAYS[[80, 90, 101]]


def run(make, table=None, horizon=5, **changes):
    return audit(make, table or noise_table(120), FIT, CUTOFFS, horizon, seed=1, **changes)


class MeanAndSeason(SeasonalNaive):
    """Honest: the mean of its fit's history, plus the last season's deviation from it, through a BLAS product."""

    def learn(self, history):
        self.mean = np.nanmean(history.y, axis=1, keepdims=True)
        self.weights = np.linspace(0.1, 1, self.lag)

    def one(self, origin):
        last = origin.history.y[:, -self.lag :] - self.mean
        return self.mean + np.repeat((last @ self.weights)[:, None], len(origin.future.ds), axis=1)


def test_honest_forecasters_pass():
    for make in (lambda _: SeasonalNaive(), lambda _: SeasonalNaive(horizon=2), lambda _: MeanAndSeason()):
        result = run(make)
        assert result.passed
        assert result.moves.empty
        assert result.compared == 2 * len(SCRAMBLES) * len(CUTOFFS) * 3 * 5
        assert result.summary() == f"{result.compared} forecasts compared, none moved"


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
def test_honest_forecasters_pass_on_data_with_holes_and_a_series_never_seen():
    rng = np.random.default_rng(3)
    values = np.where(rng.random(120) < 0.3, np.nan, rng.random(120))
    table = daily_table({"a": values, "late": np.where(np.arange(120) < 95, np.nan, 1.0), "c": rng.random(120)})
    assert run(lambda _: MeanAndSeason(), table).passed


def test_an_honest_use_of_the_known_future_passes():
    class ByWeekday(SeasonalNaive):
        def one(self, origin):
            codes, _ = origin.future.levels("day_of_week")
            return np.tile(codes.astype(float), (3, 1))

    assert run(lambda _: ByWeekday()).passed


def test_learned_quantiles_are_compared_too_and_one_that_knows_how_far_off_the_forecast_will_be_is_caught():
    class Knows(Headed):
        def spread(self, origin):
            start, steps = len(origin.history.ds), len(origin.future.ds)
            came = origin.history.y.base[:, start : start + steps]
            return np.where(np.isfinite(came), np.abs(came - self.one(origin)), 1.0)

    honest = run(lambda _: Headed(), levels=(0.1, 0.9))
    assert honest.passed
    assert honest.compared == 3 * run(lambda _: Headed()).compared
    assert run(lambda _: Knows()).passed  # of the points alone
    moves = run(lambda _: Knows(), levels=(0.1, 0.9)).moves
    assert set(moves["stage"]) == {"predict"}
    assert set(moves["cutoff"]) == set(CUTOFFS)


class ReachesThroughTheView(SeasonalNaive):
    """Reads the column after its history from the array that its history is a view of."""

    def one(self, origin):
        y = origin.history.y
        whole = y if y.base is None else y.base
        return np.repeat(whole[:, [y.shape[1]]], len(origin.future.ds), axis=1)


def test_a_model_that_reaches_through_the_view_is_caught():
    result = run(lambda _: ReachesThroughTheView())
    assert not result.passed
    assert set(result.moves["stage"]) == {"predict"}
    assert set(result.moves["scramble"]) == set(SCRAMBLES)
    assert set(result.moves["cutoff"]) == set(CUTOFFS)


def test_a_fit_that_reaches_through_the_view_is_caught():
    class Fits(MeanAndSeason):
        def learn(self, history):
            super().learn(history)
            self.mean = np.nanmax(history.y.base, axis=1, keepdims=True)

    result = run(lambda _: Fits(), scrambles=("scaled",))
    assert set(result.moves["stage"]) == {"fit"}


def test_a_model_that_keeps_the_array_behind_its_history_for_later_is_caught():
    class Keeps(SeasonalNaive):
        def learn(self, history):
            self.whole = history.y.base

        def one(self, origin):
            return np.repeat(self.whole[:, [len(origin.history.ds)]], len(origin.future.ds), axis=1)

    assert set(run(lambda _: Keeps()).moves["stage"]) == {"fit"}


def test_a_scaler_fitted_on_the_whole_table_is_caught():
    class Scales(SeasonalNaive):
        def __init__(self, table):
            super().__init__()
            self.mean = np.nanmean(table.panel.y, axis=1, keepdims=True)

        def one(self, origin):
            return np.repeat(self.mean, len(origin.future.ds), axis=1)

    result = run(Scales)
    assert not result.passed
    assert set(result.moves["stage"]) == {"fit"}
    assert "scaled" in set(result.moves["scramble"])


def test_a_cutoff_off_by_one_is_caught():
    class OneTooFar(SeasonalNaive):
        def __init__(self, table):
            super().__init__()
            self.table = table

        def one(self, origin):
            seen = self.table.panel.until(origin.cutoff + pd.Timedelta(days=1))
            return np.repeat(seen.y[:, -1:], len(origin.future.ds), axis=1)

    assert not run(OneTooFar).passed


def test_a_split_off_by_one_is_caught_though_the_model_is_honest(monkeypatch):
    true = leakage.origins

    def one_too_far(table, cutoffs, horizon):
        return true(table, cutoffs + pd.Timedelta(days=1), horizon)

    assert run(lambda _: SeasonalNaive(lag=1)).passed
    monkeypatch.setattr(leakage, "origins", one_too_far)
    result = run(lambda _: SeasonalNaive(lag=1))
    assert set(result.moves["stage"]) == {"predict"}


def test_an_origin_that_learns_from_a_later_one_in_the_same_call_is_caught():
    class TalksAcross(SeasonalNaive):
        def predict(self, origins):
            newest = max(origins, key=lambda o: o.cutoff)
            return np.stack([self.one(newest) for _ in origins])

    moves = run(lambda _: TalksAcross()).moves
    assert set(moves["stage"]) == {"predict"}
    assert set(moves["cutoff"]) == set(CUTOFFS[:2])  # the newest tells itself nothing new


def test_a_model_that_answers_from_a_cache_does_not_hide_its_leak():
    class Caches(ReachesThroughTheView):
        def __init__(self):
            super().__init__()
            self.known = {}

        def one(self, origin):
            return self.known.setdefault(origin.cutoff, super().one(origin))

    assert not run(lambda _: Caches()).passed


def test_past_covariates_after_the_cutoff_are_scrambled_too():
    rng = np.random.default_rng(2)
    frame = long_frame({"a": rng.random(120), "b": rng.random(120)}).assign(price=lambda f: rng.random(len(f)))
    table = leakage_table(frame)

    class ReadsPast(SeasonalNaive):
        def one(self, origin):
            past = origin.history.past
            return np.repeat(past.base[:, past.shape[1], :], len(origin.future.ds), axis=1)

    class Honest(SeasonalNaive):
        def one(self, origin):
            return np.repeat(origin.history.past[:, -1, :], len(origin.future.ds), axis=1)

    assert run(lambda _: Honest(), table).passed
    assert set(run(lambda _: ReadsPast(), table).moves["scramble"]) == set(SCRAMBLES)


def leakage_table(frame):
    from daycast.core import frame as frames

    return frames.table(frame, daily_spec(past=("price",)))


def test_moves_tell_where_and_by_how_much():
    table = noise_table(120)

    class SecondStepOfB(SeasonalNaive):
        def one(self, origin):
            out = super().one(origin)
            out[1, 1] = origin.history.y.base[1, len(origin.history.ds)]
            return out

    moves = run(lambda _: SecondStepOfB(), table, scrambles=("scaled", "missing")).moves
    assert (set(moves["unique_id"]), set(moves["step"])) == ({"b"}, {2})
    for _, line in moves.iterrows():
        next_day = table.panel.y[1, table.panel.position(line["cutoff"]) + 1]
        assert line["before"] == next_day
        if line["scramble"] == "missing":
            assert np.isnan(line["after"])
            assert line["moved"] == np.inf
        else:
            assert line["after"] == 10 * next_day + 1
            assert line["moved"] == pytest.approx(9 * next_day + 1)


def test_the_summary_names_the_largest_move():
    result = run(lambda _: ReachesThroughTheView(), scrambles=("scaled",))
    text = result.summary()
    assert text.startswith(f"45 of {result.compared} forecasts moved")
    assert "predict (scaled)" in text
    assert "most of all c step" in text


def test_the_smallest_bit_counts():
    class Barely(SeasonalNaive):
        def one(self, origin):
            up = origin.history.y.base[0, len(origin.history.ds)] > 5
            out = super().one(origin)
            return np.nextafter(out, np.inf) if up else out

    assert not run(lambda _: Barely(), scrambles=("scaled",)).passed


def test_a_model_that_is_not_deterministic_is_told_apart_from_a_leak():
    rng = np.random.default_rng(0)

    class Dice(SeasonalNaive):
        def one(self, origin):
            return super().one(origin) + rng.random()

    with pytest.raises(ModelError) as error:
        run(lambda _: Dice())
    assert "two equal fits" in error.value.found


def test_a_cutoff_before_the_fit_is_refused():
    with pytest.raises(HistoryError) as error:
        audit(lambda _: SeasonalNaive(), noise_table(120), FIT, DAYS[[79, 90]], 5, seed=0)
    assert "2024-03-20" in error.value.found


def test_an_audit_without_cutoffs_is_refused():
    with pytest.raises(HistoryError):
        audit(lambda _: SeasonalNaive(), noise_table(120), FIT, DAYS[:0], 5, seed=0)


def test_a_cutoff_after_which_nothing_came_would_prove_nothing():
    for table in (noise_table(120), daily_table({"a": np.arange(120.0), "b": [1.0] * 119 + [np.nan]})):
        with pytest.raises(HistoryError):
            audit(lambda _: SeasonalNaive(), table, FIT, DAYS[[90, 119]], 5, seed=0)


@pytest.mark.parametrize("how", SCRAMBLES)
def test_scrambling_changes_all_that_comes_after_the_cutoff_and_nothing_before(how):
    table = leakage_table(
        long_frame({"a": np.random.default_rng(0).random(120)}).assign(price=lambda f: np.arange(len(f), dtype=float))
    )
    other = scrambled(table, DAYS[100], how, np.random.default_rng(0))
    for name in ("y", "past"):
        before, after = getattr(table.panel, name), getattr(other.panel, name)
        np.testing.assert_array_equal(before[:, :101], after[:, :101])
        assert not np.array_equal(before[:, 101:], after[:, 101:])
        assert not np.shares_memory(before, after)
        assert other.panel.until(DAYS[100]).y.base is other.panel.y
        with pytest.raises(ValueError, match="read-only"):
            after[...] = 0
    if how == "permuted":
        np.testing.assert_array_equal(np.sort(table.panel.y[:, 101:]), np.sort(other.panel.y[:, 101:]))
    np.testing.assert_array_equal(table.panel.known, other.panel.known)


def test_the_seed_decides_the_permutation():
    table = noise_table(120)
    made = [scrambled(table, FIT, "permuted", np.random.default_rng(s)).panel.y for s in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_series_are_permuted_each_by_itself():
    table = daily_table({"a": np.arange(120.0), "b": np.arange(120.0)})
    y = scrambled(table, FIT, "permuted", np.random.default_rng(0)).panel.y
    assert not np.array_equal(y[0], y[1])


def test_nothing_is_scrambled_without_a_cutoff():
    table = noise_table(120)
    np.testing.assert_array_equal(scrambled(table, None, "missing", np.random.default_rng(0)).panel.y, table.panel.y)
