"""Networks that learn quantiles, on a series that is noisier on some days: what their calibrated bands are worth."""

import numpy as np
import pandas as pd
import pytest
from synthetic import context, network, origin, table, weekly
from tests.core.builders import issued_both_ways

from daycast import models
from daycast.core.backtest import forecasts, with_actuals
from daycast.core.conformal import LEVELS
from daycast.core.intervals import scores
from daycast.core.split import Fold

NAMES = [f"q{level:g}" for level in LEVELS]
HEADS = {
    "pinball": {"loss": "pinball", "quantiles": LEVELS},
    "gaussian": {"loss": "gaussian"},
}


@pytest.fixture(scope="module")
def uneven():
    """One series whose noise on two days of the week is ten times that of the others."""
    rng = np.random.default_rng(4)
    y = weekly(n=1, steps=1628, noise=0.0)
    day = pd.date_range("2015-01-01", periods=y.shape[1]).dayofweek
    return table(y + np.where(day >= 5, 30.0, 3.0) * rng.normal(size=y.shape))


@pytest.fixture(scope="module", params=HEADS)
def parts(uneven, request):
    """Rows of 350 days that no fit has seen, to calibrate with, and of the 350 after them."""
    days, model = uneven.panel.ds, models.build(network(hidden=12, **HEADS[request.param]), context(3, max_epochs=15))
    model.fit(uneven.panel.until(days[-705]))
    made = []
    for first, last in ((-705, -355), (-351, -3)):
        fold = Fold("test", None, days[-705], days[first:last], 3)
        made.append(with_actuals(forecasts(model, uneven, fold, levels=LEVELS), uneven))
    return made


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_calibrated_bands_of_a_head_are_sharper_than_bands_around_its_own_point_forecast(parts, method):
    calibration, test = parts
    own, around = issued_both_ways(test, calibration, method)
    of_own, of_point = (scores(rows.drop(columns="cutoff"), ["unique_id"]).iloc[0] for rows in (own, around))
    for share in (80, 95):
        for of in (of_own, of_point):
            assert of[f"coverage_{share}"] == pytest.approx(
                share / 100, abs=0.06
            )  # 350 days to calibrate, 350 to judge
    assert of_own["width_95"] < 0.6 * of_point["width_95"]
    assert of_own["crps"] < 0.85 * of_point["crps"]
    assert (np.diff(own[NAMES].to_numpy(), axis=1) >= 0).all()
    wide = (own["q0.9"] - own["q0.1"]).groupby(own["ds"].dt.dayofweek >= 5).median()
    assert wide[True] > 4 * wide[False]  # the head says which days are noisy


def test_quantiles_of_an_ensemble_are_the_means_of_its_members_level_by_level(uneven):
    days = uneven.panel.ds
    ensemble = models.build(network(**HEADS["gaussian"]), context(3, seed=5, max_epochs=2), seeds=3)
    ensemble.fit(uneven.panel.until(days[400]))
    origins = [origin(uneven, back, horizon=3) for back in (3, 40)]
    found = ensemble.quantiles(origins, LEVELS)
    own = []
    for seed in (5, 6, 7):
        member = models.build(network(**HEADS["gaussian"]), context(3, seed=seed, max_epochs=2))
        member.fit(uneven.panel.until(days[400]))
        own.append(member.quantiles(origins, LEVELS))
    assert found.shape == (2, 1, 3, 5)
    for place in np.ndindex(found.shape):
        assert found[place] == pytest.approx(sum(q[place] for q in own) / 3, rel=1e-12)
    assert len({q[0, 0, 0, 0] for q in own}) == 3
    assert (np.diff(found, axis=-1) > 0).all()
