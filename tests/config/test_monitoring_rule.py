"""When forecasts have turned out so badly that somebody has to act."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from daycast.config import Monitoring


def test_an_alarm_that_could_never_be_raised_is_refused() -> None:
    with pytest.raises(ValidationError, match="no alarm could ever be raised"):
        Monitoring(name="mine", windows=3, at_least=4)
