"""The alert section: what is refused, by itself and with a dataset."""

from __future__ import annotations

import pytest
from tests.conftest import ROOT

from daycast.config import compose, config_hash
from daycast.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["alert.threshold=1.5"], "alert.threshold"),
        (["alert.threshold=-0.1"], "alert.threshold"),
        (["alert.low.drop=0"], "alert.low.drop"),
        (["alert.low.drop=1"], "alert.low.drop"),
        (["alert.model=forest"], "'network', 'logistic' or 'base_rate'"),
        (["alert.network.loss=huber"], "'cross_entropy'"),
        (["alert.network.output=seq2seq"], "a decoder would be fed probabilities"),
        (["alert.network.horizon=1"], "can't be iterated"),
        (["+alert.network.search.hidden={kind: choice, values: [8]}"], "not tuned"),
        (["+alert.low.dropp=0.1"], "`drop`"),
        (["model=[naive,gru]", "model.gru.loss=cross_entropy"], "model.gru.loss"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_can_not_be_is_refused_with_its_path(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(ROOT, overrides)
    assert told in error.value.found


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("alert.low.by=[day_of_week,holiday]", "alert.low.by: `holiday` is no categorical column"),
        ("alert.network.profile.by=[kind]", "alert.network.profile.by: `kind`"),
        ("alert.logistic.profile.by=[kind]", "alert.logistic.profile.by: `kind`"),
        ("alert.low.by=[regime]", "alert.low.by: `regime` is not known ahead"),
        ("alert.network.known=[rain]", "alert.network.known: `rain`"),
        ("trainer.validation_steps=14", "must exceed backtest.horizon 14"),
    ],
)
def test_what_does_not_suit_the_dataset_is_told(override: str, told: str) -> None:
    made = compose(ROOT, ["dataset=cta", override], fitting=False)
    found = made.alert.misfits(made.dataset, made.backtest.horizon, made.trainer.validation_steps)
    assert len(found) == 1
    assert told in found[0]


def test_what_is_shipped_suits_every_dataset_and_needs_no_profile() -> None:
    for overrides in (["dataset=sample"], ["dataset=cta"], ["dataset=cta_stations"], ["alert.network.profile=null"]):
        made = compose(ROOT, overrides, fitting=False)
        assert made.alert.misfits(made.dataset, made.backtest.horizon, made.trainer.validation_steps) == []


def test_alerts_are_no_part_of_what_a_forecasting_run_hangs_on() -> None:
    base, other = compose(ROOT), compose(ROOT, ["alert.low.drop=0.3"])
    assert config_hash(base) == config_hash(other)
    assert config_hash(base, without=("runner",)) != config_hash(other, without=("runner",))
