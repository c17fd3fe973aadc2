"""What files in conf/ alone may give is compared by value: no spelling of an override gets round it."""

from __future__ import annotations

import pytest
from tests.conftest import ROOT

from daycast.config import compose, filed
from daycast.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("promotion.champion=null", "promotion.champion=null"),
        ("++promotion.champion=null", "promotion.champion=null"),
        ("++promotion.champion.seconds=61", "promotion.champion.seconds=61.0"),
        ("promotion.champion={margin: 0.5}", "promotion.champion.margin=0.5"),
    ],
)
def test_a_gate_that_was_overridden_is_found_however_that_was_spelled(override: str, found: str) -> None:
    config = compose(ROOT, ["promotion=living", override])
    assert filed.overridden(ROOT, config, filed.CHAMPION) == [found]
    with pytest.raises(ConfigError, match="promotion=NAME") as error:
        filed.require_gate(ROOT, config)
    assert error.value.found == found


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["promotion=living"],
        ["dataset=cta", "backtest=living", "promotion=living", "tuning=none"],
        ["promotion.champion.seconds=60"],
        ["promotion.margin=0.5"],
    ],
    ids=" ".join,
)
def test_a_gate_that_is_chosen_and_what_says_the_same_is_none(overrides: list[str]) -> None:
    config = compose(ROOT, overrides)
    assert filed.overridden(ROOT, config, filed.CHAMPION) == []
    filed.require_gate(ROOT, config)


@pytest.mark.parametrize(
    "override",
    ["~promotion.champion", "+promotion.champion=null", "+promotion@promotion.champion=living", "~promotion"],
)
def test_what_would_take_the_gate_away_does_not_compose(override: str) -> None:
    with pytest.raises(ConfigError):
        compose(ROOT, [override])


def test_values_of_other_sections_are_found_too() -> None:
    config = compose(ROOT, ["++monitoring.calm_days=3", "seed=3"])
    assert filed.overridden(ROOT, config, "monitoring", "alert") == ["monitoring.calm_days=3"]
