import numpy as np
import pytest
from synthetic import context, network, origin, table, weekly

from daycast import models
from daycast.errors import ModelError
from daycast.models.ensemble import Ensemble
from daycast.models.neural import NeuralForecaster


class EnoughError(Exception):
    pass


@pytest.fixture(scope="module")
def made():
    return table(weekly(steps=328))


@pytest.fixture(scope="module")
def fitted(made):
    ensemble = models.build(network(), context(seed=5, max_epochs=2), seeds=2)
    ensemble.report = ensemble.fit(made.panel)
    return ensemble


def test_an_ensemble_is_the_mean_of_networks_from_following_seeds(made, fitted):
    alone = []
    for seed in (5, 6):
        member = NeuralForecaster(network(), context(seed=seed, max_epochs=2))
        member.fit(made.panel)
        alone.append(member.predict([origin(made)]))
    assert not np.array_equal(*alone)
    np.testing.assert_array_equal(fitted.predict([origin(made)]), np.mean(alone, axis=0))


def test_the_report_keeps_each_member_apart_and_adds_up_their_work(fitted):
    assert sorted(fitted.report.curves) == ["train_loss_1", "train_loss_2", "val_loss_1", "val_loss_2"]
    assert fitted.report.facts["epochs"] == 4
    assert fitted.report.facts["members"] == 2
    assert fitted.report.facts["parameters"] == 2 * sum(a.size for a in fitted.members[0].state()[1].values())


def test_epochs_are_counted_on_over_the_members_and_an_exception_ends_them_all(made):
    seen = []

    def stop(epoch, most, _metrics):
        seen.append((epoch, most))
        if epoch == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        models.build(network(), context(max_epochs=2), seeds=3).fit(made.panel, on_epoch=stop)
    assert seen == [(1, 6), (2, 6), (3, 6)]


def test_the_state_of_an_ensemble_nests_its_members(made, fitted):
    copy = models.build(network(), context(seed=5, max_epochs=2), seeds=2)
    values, arrays = fitted.state()
    assert {name.split(".")[0] for name in arrays} == {"0", "1"}
    copy.restore(values, arrays)
    np.testing.assert_array_equal(copy.predict([origin(made)]), fitted.predict([origin(made)]))


def test_members_of_different_configurations_are_refused():
    with pytest.raises(ModelError, match="one configuration"):
        Ensemble([NeuralForecaster(network(hidden=h), context()) for h in (4, 8)])
    with pytest.raises(ModelError, match="0 members"):
        Ensemble([])
