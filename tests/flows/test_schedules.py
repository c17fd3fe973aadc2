"""The declared schedules: in the dataset's own time, through daylight saving, one run each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from daycast.config import dataset_only
from flows import deploying

ZONES = ("America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "UTC")
YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def declared(root: Path) -> dict[str, dict[str, Any]]:
    """Deployments of ``prefect.yaml`` by the flow they are of."""
    told = yaml.safe_load((root / "prefect.yaml").read_text())["deployments"]
    return {one["entrypoint"].rpartition(".")[2]: one for one in told}


def due(cron: str, zone: str, n: int) -> list[datetime]:
    """The first runs of 2026, in the zone's own time."""
    schedule = CronSchedule(cron=cron, timezone=zone)
    return [at.astimezone(ZoneInfo(zone)) for at in asyncio.run(schedule.get_dates(n, start=YEAR))]


def test_every_flow_but_those_by_hand_has_one_schedule_in_the_datasets_time(root: Path) -> None:
    found = {name: [s["timezone"] for s in one.get("schedules", [])] for name, one in declared(root).items()}
    once = ["{{ $DAYCAST_TIMEZONE }}"]
    assert found == {
        "forecasting": once,
        "monitoring": once,
        "training": once,
        "backfill": [],
        "modelling": [],
        "notifying": [],
    }


def test_no_flow_of_a_dataset_runs_twice_at_once(root: Path) -> None:
    limits = {name: one.get("concurrency_limit") for name, one in declared(root).items()}
    one = {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert {name for name, limit in limits.items() if limit == one} == {
        "forecasting",
        "monitoring",
        "training",
        "backfill",
        "modelling",
    }


def test_a_run_tells_that_it_lives_three_times_before_it_is_taken_for_dead(root: Path) -> None:
    told = {name: one["work_pool"]["job_variables"]["env"] for name, one in declared(root).items()}
    assert set(told) >= set(deploying.FLOWS)
    assert {float(env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) * 3 for env in told.values()} == {
        deploying.LOST.total_seconds()
    }


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", ["forecasting", "monitoring"])
def test_a_daily_run_is_at_the_same_local_hour_on_every_day_of_the_year(root: Path, name: str, zone: str) -> None:
    (schedule,) = declared(root)[name]["schedules"]
    times = due(schedule["cron"], zone, 365)
    assert len({at.date() for at in times}) == 365
    assert len({(at.hour, at.minute) for at in times}) == 1
    offsets = {at.utcoffset() for at in times}
    assert len(offsets) == (1 if zone == "UTC" else 2)  # so there was a change of the clock to get through


def test_monitoring_comes_after_the_forecast_and_then_the_retrain_rule_is_asked(root: Path) -> None:
    first, second, third = (
        due(declared(root)[name]["schedules"][0]["cron"], "America/Chicago", 100)
        for name in ("forecasting", "monitoring", "training")
    )
    for times, later in ((first, second), (second, third)):
        assert {(b - a).total_seconds() for a, b in zip(times, later, strict=True)} == {3600.0}
    (schedule,) = declared(root)["training"]["schedules"]
    assert schedule["parameters"] == {"by_rule": True}
    assert "by_rule" not in declared(root)["training"]["parameters"]  # by hand it trains


def test_a_day_is_the_datasets_day_whatever_clock_the_machine_keeps(root: Path) -> None:
    cta = dataset_only(root, "cta")
    evening = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)  # in Chicago still the day before
    assert str(cta.today(evening)) == "2026-03-07"
    assert str(cta.today(evening + timedelta(hours=2))) == "2026-03-08"
    assert str(cta.model_copy(update={"timezone": "Asia/Tokyo"}).today(evening)) == "2026-03-08"
