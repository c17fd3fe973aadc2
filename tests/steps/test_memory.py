"""What a process keeps in memory of its own while it trains and forecasts does not grow with the number of series."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.conftest import ROOT

FEW, MANY, DAYS = 1000, 4000, 1460
# What may grow: names, two numbers of the transform, a run of windows, the forecasts and their rows of each series.
EACH = 2500
# What may differ besides: pools of memory that libraries fill or not, and how often they were looked at.
SLACK = 24 * 2**20


@pytest.fixture(scope="module")
def measured() -> list[dict[str, Any]]:
    asked = ["--series", FEW, MANY, "--days", DAYS, "--steps", 20, "--listed", 2**16, "--json"]
    command = [sys.executable, ROOT / "benchmarks" / "streaming.py", *map(str, asked)]
    # One arena, so that what one thread gives back another may use; else their number is a matter of chance.
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("stage", ["table", "transform", "window", "fit", "forecast", "rows"])
def test_memory_does_not_grow_with_the_series(measured: list[dict[str, Any]], stage: str) -> None:
    few, many = (one["stages"][stage] for one in measured)
    whole = (MANY - FEW) * DAYS * 8  # what one float64 of every value more would be: 35 MB
    assert many["traced"] - few["traced"] < (MANY - FEW) * EACH < whole / 2
    assert many["own"] - few["own"] < (MANY - FEW) * EACH + SLACK < whole


def test_what_was_measured_was_all_of_it(measured: list[dict[str, Any]]) -> None:
    few, many = measured
    assert (few["series"], many["series"]) == (FEW, MANY)
    assert 3.9 < many["windows"] / few["windows"] < 4.1
    assert many["windows"] * 8 > 4 * (MANY - FEW) * EACH / 2  # a list of them would show
