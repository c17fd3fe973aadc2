"""When forecasts have turned out so badly that somebody has to act, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daycast.config import compose
from daycast.config.monitoring import Retrain
from daycast.errors import ConfigError

RETRAIN = {"cool_down": 7, "back_off": 1.5, "longest": 28, "max_age": 60, "trial": 21, "least": 7, "worse": 0.1}


@pytest.mark.parametrize("override", ["skill.at_least=6", "error.most=0.5", "arrivals.least=31"])
def test_an_alarm_that_could_never_be_raised_is_refused(root: Path, override: str) -> None:
    with pytest.raises(ConfigError, match="no alarm could ever be raised"):
        compose(root, [f"monitoring.{override}"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"longest": 6}, "longest 6 is below cool_down 7"),
        ({"trial": 6}, "least 7 is above trial 6"),
        ({"back_off": 0.9}, "back_off"),
    ],
)
def test_a_retrain_rule_that_contradicts_itself_is_refused(change: dict[str, Any], text: str) -> None:
    assert Retrain(**RETRAIN).rule().worse == 0.1
    with pytest.raises(ValidationError, match=text):
        Retrain(**{**RETRAIN, **change})
