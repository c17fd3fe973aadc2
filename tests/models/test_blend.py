"""Several fitted forecasters as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import context, network, origin, table, weekly

from daycast import config, models
from daycast.core.forecast import Forecaster, predict
from daycast.core.frame import Table
from daycast.errors import ModelError

WEIGHTS = np.asarray([[1.0, 0.5, 0.0, 0.25], [0.0, 0.5, 1.0, 0.75]])


@pytest.fixture(scope="module")
def made() -> Table:
    return table(weekly(steps=200))


@pytest.fixture(scope="module")
def members(made: Table) -> list[Forecaster]:
    """A network, and a naive model that knows one step ahead and is iterated."""
    built = [
        models.build(network(), context(horizon=4, max_epochs=1)),
        models.build(config.SeasonalNaive(family="seasonal_naive", lag=3), context(horizon=1)),
    ]
    for member in built:
        member.fit(made.panel)
    return built


def blend() -> Forecaster:
    return models.build(config.Blend(family="blend", members=("a", "b")), context(horizon=4))


def test_each_step_is_the_weighted_mean_of_its_members(made: Table, members: list[Forecaster]) -> None:
    mixed = blend()
    report = mixed.join(members, WEIGHTS)
    assert report.facts == {"members": 2}
    assert mixed.min_history == max(m.min_history for m in members)
    origins = [origin(made, 100, 4), origin(made, 110, 4)]
    own = np.stack([predict(m, origins) for m in members])
    np.testing.assert_allclose(predict(mixed, origins), (own * WEIGHTS[:, None, None, :]).sum(axis=0), rtol=1e-12)
    near = [origin(made, 100, 2)]
    np.testing.assert_allclose(predict(mixed, near), predict(mixed, origins)[:1, :, :2], rtol=1e-6)


def test_it_is_saved_and_loaded_with_its_members(made: Table, members: list[Forecaster], tmp_path: Path) -> None:
    mixed = blend()
    mixed.join(members, WEIGHTS)
    models.save(mixed, tmp_path / "model")
    loaded = models.load(tmp_path / "model")
    origins = [origin(made, 100, 4)]
    np.testing.assert_array_equal(predict(loaded, origins), predict(mixed, origins))
    assert loaded.min_history == mixed.min_history


def test_a_member_without_weight_is_left_out(made: Table, members: list[Forecaster]) -> None:
    mixed = blend()
    assert mixed.join(members, np.asarray([[0.0] * 4, [1.0] * 4])).facts == {"members": 1}
    assert mixed.min_history == members[1].min_history
    origins = [origin(made, 100, 4)]
    np.testing.assert_array_equal(predict(mixed, origins), predict(members[1], origins))


def test_fitting_fits_the_members_anew(made: Table) -> None:
    last = models.build(config.Naive(family="naive"), context(horizon=4))
    mixed = blend()
    mixed.join([last, last], WEIGHTS)
    assert mixed.fit(made.panel).facts == {"members": 2, "over_budget": 0}
    (forecast,) = predict(mixed, [origin(made, 100, 4)])
    np.testing.assert_array_equal(forecast, np.repeat(made.panel.y[:, -101:-100], 4, axis=1))


def test_members_that_went_over_their_time_budget_are_counted(made: Table) -> None:
    hasty = models.build(config.AutoEts(family="auto_ets", train_steps=None, budget_s=1e-9), context(horizon=4))
    mixed = blend()
    mixed.join([hasty, models.build(config.Naive(family="naive"), context(horizon=4))], WEIGHTS)
    assert mixed.fit(made.panel).facts["over_budget"] == len(made.panel.ids)


@pytest.mark.parametrize("call", ["fit", "predict", "state"])
def test_nothing_joined_is_refused(made: Table, call: str) -> None:
    given = {"fit": [made.panel], "predict": [[origin(made, 100, 4)]], "state": []}[call]
    with pytest.raises(ModelError, match="joined members"):
        getattr(blend(), call)(*given)


def test_weights_of_another_shape_are_refused(members: list[Forecaster]) -> None:
    with pytest.raises(ModelError, match=r"weights of 2 members at 4 steps\nfound: +\(2, 3\)"):
        blend().join(members, WEIGHTS[:, :3])
