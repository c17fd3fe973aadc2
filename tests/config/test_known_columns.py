import pytest

from daycast.config import compose
from daycast.errors import ConfigError


def test_regressors_may_be_known_columns_and_fourier_terms_of_the_dataset(root):
    found = compose(root, ["model=[seasonal_naive,sarima]", "model.sarima.known=[holiday,year_sin1,year_cos3]"])
    assert found.model["sarima"].known == ("holiday", "year_sin1", "year_cos3")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.sarima.known=[weather]", "column `weather` is neither in dataset.covariates.known"),
        ("model.sarima.known=[year_sin4]", "column `year_sin4` is neither .* nor one of its 6 Fourier terms"),
        ("model.day_type_naive.column=holiday", "`holiday` is no categorical column"),
        ("model.day_type_naive.column=nowhere", "`nowhere` is no categorical column"),
        ("model.sarima.order=[7,0,0]", r"model.sarima \(.*\): expected p and q below the dataset's season_length 7"),
        ("model.sarima.order=[-1,0,0]", "greater than or equal to 0"),
    ],
)
def test_columns_and_orders_that_the_dataset_does_not_allow_are_faults(root, override, told):
    more = ["model.sarima.seasonal_order=[1,0,0]"] if "order" in override else []
    with pytest.raises(ConfigError, match=told):
        compose(root, ["model=[day_type_naive,sarima]", override, *more])


def test_no_class_of_days_is_told_by_a_regime(root):
    by = "model.linear.profile.by=[day_of_week,regime]"
    with pytest.raises(ConfigError, match=r"model\.linear.*profile\.by: `regime` is not known ahead"):
        compose(root, ["dataset=cta", "model=[seasonal_naive,linear]", by])
    named = compose(root, ["dataset=cta", "model=[seasonal_naive,sarima]", "model.sarima.known=[day_type,regime]"])
    assert named.model["sarima"].known == ("day_type", "regime")


def test_models_that_do_not_suit_the_dataset_are_told_with_those_that_do(root):
    chosen = ["model=[naive,day_type_naive,sarima,gru]", "model.sarima.known=[weather]"]
    with pytest.raises(ConfigError, match=r"these suit the dataset: model=\[naive,day_type_naive,gru\]"):
        compose(root, chosen)


def test_where_nothing_is_fitted_models_need_not_suit_the_dataset_but_each_section_must_be_right(root):
    chosen = ["model=[naive,sarima]", "model.sarima.known=[weather]"]
    assert compose(root, chosen, fitting=False).dataset == compose(root).dataset
    with pytest.raises(ConfigError, match="greater than or equal to 1"):
        compose(root, [*chosen, "backtest.horizon=0"], fitting=False)
