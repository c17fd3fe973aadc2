"""When forecasts have turned out so badly that somebody has to act."""

from __future__ import annotations

from pathlib import Path

import pytest

from daycast.config import compose
from daycast.errors import ConfigError


@pytest.mark.parametrize("override", ["skill.at_least=6", "error.most=0.5"])
def test_an_alarm_that_could_never_be_raised_is_refused(root: Path, override: str) -> None:
    with pytest.raises(ConfigError, match="no alarm could ever be raised"):
        compose(root, [f"monitoring.{override}"])
