import numpy as np
import pandas as pd
import pytest

from daycast.core.forecast import predict, rows
from daycast.core.quantiles import Distributional, beside, learned
from daycast.core.split import origins
from daycast.errors import ModelError, OutputError
from tests.core.builders import Headed, SeasonalNaive, count_up

LEVELS = (0.1, 0.5, 0.9)
DAYS = pd.date_range("2024-01-01", periods=60)


def asked(horizon=4, **spec):
    return origins(count_up(**spec), DAYS[[30, 40, 41]], horizon)


def test_a_model_s_quantiles_stand_beside_its_forecasts_of_the_same_series_origin_and_step():
    model, at = Headed(), asked()
    made = beside(rows(predict(model, at), at), learned(model, at, LEVELS, 4), LEVELS)
    assert list(made.columns) == ["unique_id", "cutoff", "ds", "step", "y_hat", "q0.1", "q0.5", "q0.9"]
    np.testing.assert_allclose(made["q0.5"], made["y_hat"])
    np.testing.assert_allclose(made["q0.9"] - made["y_hat"], 1.2815515655446 * made["step"])
    np.testing.assert_allclose(made["y_hat"] - made["q0.1"], 1.2815515655446 * made["step"])


def test_they_are_held_at_the_floor():
    made = learned(Headed(), asked(floor=30.0), LEVELS, 4)
    free = learned(Headed(), asked(), LEVELS, 4)
    assert free.min() < 30.0
    np.testing.assert_array_equal(made, np.maximum(free, 30.0))


@pytest.mark.parametrize(("own", "steps", "known"), [(1000, 4, 4), (1000, 3, 3), (2, 4, 2), (2, 1, 1), (1000, 9, 4)])
def test_beyond_the_steps_asked_for_and_the_model_s_own_horizon_there_are_none(own, steps, known):
    made = learned(Headed(horizon=own), asked(), LEVELS, steps)
    assert made.shape == (3, 2, 4, 3)
    assert np.isfinite(made[:, :, :known]).all()
    assert np.isnan(made[:, :, known:]).all()


def test_a_model_without_a_distribution_is_refused():
    assert not isinstance(SeasonalNaive(), Distributional)
    with pytest.raises(ModelError, match="SeasonalNaive"):
        learned(SeasonalNaive(), asked(), LEVELS, 4)


def test_quantiles_of_another_shape_are_refused():
    class Short(Headed):
        def quantiles(self, origins, levels):
            return super().quantiles(origins, levels[1:])

    with pytest.raises(OutputError):
        learned(Short(), asked(), LEVELS, 4)
