"""Every dataset that ships loads, and what can't work is refused before any work starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from daycast.config import Dataset, dataset_only
from daycast.core.layout import calendar_frame
from daycast.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf" / "dataset"


def changed(root: Path, name: str, **sections: Any) -> Dataset:
    values = yaml.safe_load((root / "conf" / "dataset" / f"{name}.yaml").read_text())
    for section, new in sections.items():
        values[section] = values[section] | new if isinstance(new, dict) else new
    return Dataset.model_validate_json(json.dumps(values))


@pytest.mark.parametrize("name", sorted(p.stem for p in CONF.glob("*.yaml")))
def test_every_shipped_dataset_loads_under_its_own_name(root: Path, name: str) -> None:
    dataset = dataset_only(root, name)

    assert dataset.name == name
    assert dataset.layout().freq == dataset.spec().freq


def test_the_sample_says_that_it_is_simulated_and_only_the_sample_is(root: Path) -> None:
    names = [p.stem for p in CONF.glob("*.yaml")]
    datasets = [dataset_only(root, name) for name in names]

    assert {"sample", "cta", "cta_stations"} <= set(names)
    assert "SIMULATED" in dataset_only(root, "sample").title
    assert all(d.simulated == (d.source.kind == "simulated") == ("SIMULATED" in d.title) for d in datasets)


def test_an_unknown_dataset_names_the_nearest(root: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean `cta"):
        dataset_only(root, "ctaa")


def test_a_known_column_that_no_calendar_gives_is_refused(root: Path) -> None:
    with pytest.raises(ValidationError, match="`rain` is not one of the columns known ahead: day_of_week, day_type"):
        changed(root, "cta", covariates={"known": {"rain": None}})


def test_covariates_per_series_are_refused_for_a_wide_file(root: Path) -> None:
    with pytest.raises(ValidationError, match="need a long file"):
        changed(root, "cta", covariates={"static": {"day_type": None}})


def test_a_column_that_is_used_must_be_declared(root: Path) -> None:
    with pytest.raises(ValidationError, match="`kind` is used but not declared"):
        changed(root, "cta", contract={"day_type": "kind"})


def test_a_holiday_on_no_weekday_is_refused(root: Path) -> None:
    with pytest.raises(ValidationError, match=r"sunday_service.*Labor Day"):
        changed(root, "cta", calendar={"sunday_service": {"Labor Day": ["Someday"]}})


def test_events_become_a_known_column_with_a_level_for_each_of_their_days(root: Path) -> None:
    events = [{"name": "easter", "easter": "western", "days": [-1, 0]}]
    known = changed(root, "cta", calendar={"events": events}).spec().known
    assert known["event"] == ("none", "easter-1", "easter")
    assert "event" not in changed(root, "cta", calendar={"events": []}).spec().known


def test_regimes_become_a_held_column(root: Path) -> None:
    regimes = [{"name": "strike", "since": "2019-01-05", "until": "2019-01-07"}, {"name": "war", "since": "2019-01-08"}]
    changed_to = changed(root, "cta", calendar={"regimes": regimes})
    assert changed_to.spec().known["regime"] == ("none", "strike", "war")
    assert changed_to.spec().held == ("regime",)
    days = calendar_frame(pd.date_range("2019-01-04", "2019-01-09"), changed_to.layout())
    assert days["regime"].tolist() == ["none", "strike", "strike", "strike", "war", "war"]
    without = changed(root, "cta", calendar={"regimes": []}).spec()
    assert "regime" not in without.known
    assert without.held == ()


@pytest.mark.parametrize(
    ("regimes", "fault"),
    [
        ([{"name": "none", "since": "2019-01-05"}], "`none` stands for the days of no regime"),
        ([{"name": "a", "since": "2019-01-05", "until": "2019-01-04"}], "until 2019-01-04 is before since 2019-01-05"),
        ([{"name": "a", "since": "2019-01-05"}, {"name": "b", "since": "2020-01-05"}], "`a` goes on into `b`"),
        (
            [{"name": "b", "since": "2020-01-05"}, {"name": "a", "since": "2019-01-05", "until": "2020-01-05"}],
            "`a` goes on into `b`, which begins 2020-01-05",
        ),
        (
            [{"name": "a", "since": "2019-01-05", "until": "2019-01-06"}, {"name": "a", "since": "2020-01-05"}],
            "`a` is there 2 times",
        ),
        ([{"name": "a", "since": "yesterday"}], "since"),
    ],
)
def test_regimes_that_do_not_follow_each_other_are_refused(root: Path, regimes: list[Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        changed(root, "cta", calendar={"regimes": regimes})


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"date": "12-25", "easter": "western"}, "exactly one of `holiday`, `date` and `easter`"),
        ({}, "exactly one of"),
        ({"date": "12-25", "weekday": "Mon"}, "`weekday` and `nth`"),
        ({"date": "12-25", "weekday": "Mon", "nth": 0}, "`weekday` and `nth`"),
        ({"easter": "western", "weekday": "Mon", "nth": 1}, "`weekday` and `nth`"),
        ({"date": "02-30"}, "02-30 is in no year"),
        ({"date": "13-01"}, "13-01 is in no year"),
        ({"date": "12-25", "days": [1, 0]}, "the first must not be after the last"),
        ({"date": "12-25", "days": [0, 99]}, "nor 60 days from the anchor"),
        ({"date": "12-25", "since": 2010, "until": 2009}, "since 2010 is after until 2009"),
    ],
)
def test_an_event_without_one_sound_rule_is_refused(root: Path, event: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        changed(root, "cta", calendar={"events": [{"name": "fair"} | event]})


def test_events_of_holidays_need_a_country(root: Path) -> None:
    with pytest.raises(ValidationError, match=r"\['thanksgiving'\] are tied to holidays, and `country` is null"):
        changed(
            root,
            "cta",
            calendar={"country": None, "events": [{"name": "thanksgiving", "holiday": "Thanksgiving Day"}]},
        )


@pytest.mark.parametrize("name", ["Chicago", "America", "", "../etc/passwd"])
def test_a_time_zone_that_is_none_is_named(root: Path, name: str) -> None:
    told = dataset_only(root, "cta").model_dump(mode="json") | {"timezone": name}
    with pytest.raises(ValidationError, match="no IANA time zone"):
        Dataset.model_validate_json(json.dumps(told))
