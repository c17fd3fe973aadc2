"""What people are told to run does the same as the run that failed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from flows.notifying import command


@pytest.mark.parametrize(
    ("flow", "parameters", "words"),
    [
        ("forecasting", {"dataset": "cta"}, "forecast dataset=cta --fetch"),
        (
            "forecasting",
            {"dataset": "cta", "as_of": "2021-11-30", "horizon": 7, "fetch": False},
            "forecast dataset=cta --as-of 2021-11-30 --horizon 7",
        ),
        (
            "monitoring",
            {"dataset": "cta", "as_of": date(2021, 11, 30)},
            "monitor dataset=cta --as-of 2021-11-30 --fetch",
        ),
        ("training", {"overrides": ["dataset=cta"], "fetch": True}, "run dataset=cta --fetch"),
        ("training", {"overrides": ["model=[naive,gru]"], "last": "forecast"}, "run 'model=[naive,gru]'"),
        ("modelling", {"overrides": ["dataset=cta", "seed=3"], "data": {}, "last": "tune"}, "run dataset=cta seed=3"),
        (
            "backfill",
            {"dataset": "cta", "first": "2021-11-01", "last": "2021-11-30", "max_parallel": 4},
            "backfill dataset=cta --from 2021-11-01 --to 2021-11-30 --max-parallel 4",
        ),
        ("notifying", {"flow_run": "x"}, "status"),
    ],
)
def test_the_command_has_what_the_run_was_given(flow: str, parameters: dict[str, Any], words: str) -> None:
    assert command(flow, parameters) == f"daycast {words}"
