"""The suite of a contract, on real Great Expectations: every kind of break is found, named and shown."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from daycast.adapters import expectations
from daycast.adapters.expectations import suite
from daycast.adapters.sources import rows
from daycast.config import Dataset, dataset_only
from daycast.core import batch
from daycast.core.raw import Whole
from daycast.errors import ToolError

pytestmark = pytest.mark.xdist_group("expectations")  # what is made once is made in one process

FIRST = dt.date(2018, 12, 20)  # a Thursday; Christmas and New Year's Day lie ahead
HEADER = "service_date,day_type,bus,rail,total_rides"
LONG_HEADER = "date,station,line,rides"

LONG = """
name: stations
title: a long file
simulated: true
unit: rides per day
source: {kind: file, path: stations.csv}
read: {format: csv, time: date, time_format: null, series: null, id: station, value: rides}
freq: D
timezone: UTC
season_length: 7
floor: 0.0
contract:
  columns:
    date: {type: date}
    station: {type: str}
    line: {type: str}
    rides: {type: float, nullable: true, min: 0.0}
  gaps: missing
calendar: {country: null, subdivision: null, sunday_service: {}, fourier: 0, future_steps: 1}
covariates: {known: {}, past: [], static: {line: [Red, Blue]}}
"""

Lines = list[str]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")


@pytest.fixture
def sample(root: Path) -> Dataset:
    return dataset_only(root, "sample")


def good_lines(days: int = 30) -> Lines:
    """Line ``n`` of the file is ``lines[n - 1]``."""
    lines = [HEADER]
    for step in range(days):
        day = FIRST + dt.timedelta(days=step)
        free = (day.month, day.day) in ((12, 25), (1, 1))
        day_type = "U" if free or day.weekday() == 6 else "A" if day.weekday() == 5 else "W"
        lines.append(f"{day},{day_type},{700 + step},{600 + step},{1300 + 2 * step}")
    return lines


def long_lines() -> Lines:
    days = [FIRST + dt.timedelta(days=step) for step in range(10)]
    return [LONG_HEADER] + [
        f"{day},{name},{line},{5.5}" for name, line in (("x", "Red"), ("y", "Blue")) for day in days
    ]


def changed(section: Dataset, **contract: Any) -> Dataset:
    return section.model_copy(update={"contract": section.contract.model_copy(update=contract)})


def checked(tmp_path: Path, section: Dataset, lines: Lines, now: dt.datetime | None = None) -> dict[str, Any]:
    file = tmp_path / "received.csv"
    file.write_text("\n".join(lines) + "\n")
    report = expectations.check(section, Whole(rows(file, section.read)), now=now)
    return json.loads(json.dumps(report))  # it is JSON


def failed(report: dict[str, Any]) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(c["name"], c["column"]): c for c in report["checks"] if not c["success"]}


def edited(line: int, old: str, new: str) -> Callable[[Lines], Lines]:
    def edit(lines: Lines) -> Lines:
        assert old in lines[line - 1]
        return [*lines[: line - 1], lines[line - 1].replace(old, new), *lines[line:]]

    return edit


BREAKS = [
    # line 2 is Thursday 2018-12-20: W,700,600,1300; line 4 Saturday; line 5 Sunday; line 7 Christmas, a Tuesday
    pytest.param(edited(3, ",601,", ",6o1,"), ("type", "rail"), 3, "6o1", id="text in numbers"),
    pytest.param(edited(3, ",601,", ",601.5,"), ("type", "rail"), 3, 601.5, id="a fraction in whole numbers"),
    pytest.param(edited(3, ",601,", ",inf,"), ("type", "rail"), 3, None, id="infinity"),
    pytest.param(edited(3, ",601,", ",,"), ("not missing", "rail"), 3, None, id="a missing value"),
    pytest.param(edited(3, ",601,1302", ",0,701"), ("range", "rail"), 3, 0, id="below the range"),
    pytest.param(edited(3, "701,601", "9000000,601"), ("range", "bus"), 3, 9000000, id="above the range"),
    pytest.param(edited(3, ",1302", ",1303"), ("identity", "total_rides"), 3, 1303, id="a sum that does not hold"),
    pytest.param(edited(3, ",W,", ",X,"), ("allowed", "day_type"), 3, "X", id="an unknown day type"),
    pytest.param(edited(3, "2018-12-21", "2018-13-21"), ("type", "service_date"), 3, "2018-13-21", id="no date"),
    pytest.param(edited(3, "2018-12-21", "21.12.2018"), ("type", "service_date"), 3, "21.12.2018", id="another form"),
    pytest.param(edited(3, ",W,", ",U,"), ("calendar", "day_type"), 3, "U", id="U on an ordinary Friday"),
    pytest.param(edited(3, ",W,", ",A,"), ("calendar", "day_type"), 3, "A", id="A on a Friday"),
    pytest.param(edited(4, ",A,", ",W,"), ("calendar", "day_type"), 4, "W", id="W on a Saturday"),
    pytest.param(edited(5, ",U,", ",A,"), ("calendar", "day_type"), 5, "A", id="A on a Sunday"),
]


@pytest.mark.parametrize(("edit", "which", "line", "value"), BREAKS)
def test_a_break_is_found_and_its_row_is_shown(
    tmp_path: Path,
    sample: Dataset,
    edit: Callable[[Lines], Lines],
    which: tuple[str, str],
    line: int,
    value: Any,
) -> None:
    report = checked(tmp_path, sample, edit(good_lines()))
    assert not report["success"]
    check = failed(report)[which]
    assert check["unexpected_count"] == 1
    (row,) = check["rows"]
    assert row["line"] == line
    if value is not None:
        assert row["values"][which[1]] in (value, str(value))
    expected, found = expectations.text(report)
    assert f"{which[1]} ({which[0]}): {check['expected']}" in expected
    assert f"line {line}" in found


def test_a_good_batch_passes_every_check_and_its_figures_are_told(tmp_path: Path, sample: Dataset) -> None:
    report = checked(tmp_path, sample, good_lines())
    assert report["success"], failed(report)
    of_rows = {"type", "not missing", "allowed", "range", "on the grid", "unique", "no gaps", "identity", "calendar"}
    of_rows |= {"not of the future"}
    assert {c["name"] for c in report["checks"]} == {"columns", "some rows"} | of_rows
    figures = {
        key: report[key] for key in ("rows", "exact_duplicates", "series", "timestamps", "first", "last", "gaps")
    }
    assert figures == {
        "rows": 30,
        "exact_duplicates": 0,
        "series": 2,
        "timestamps": 30,
        "first": "2018-12-20T00:00:00",
        "last": "2019-01-18T00:00:00",
        "gaps": 0,
    }
    assert report == checked(tmp_path, sample, good_lines())


def test_a_holiday_may_run_as_sunday_or_as_an_ordinary_day(tmp_path: Path, sample: Dataset) -> None:
    assert checked(tmp_path, sample, edited(7, ",U,", ",W,")(good_lines()))["success"]


def test_exact_duplicates_are_dropped_and_counted(tmp_path: Path, sample: Dataset) -> None:
    lines = good_lines()
    report = checked(tmp_path, sample, [*lines, lines[4], lines[9], lines[9]])
    assert report["success"]
    assert (report["rows"], report["exact_duplicates"], report["timestamps"]) == (33, 3, 30)


def test_conflicting_duplicates_are_an_error_that_shows_all_their_rows(tmp_path: Path, sample: Dataset) -> None:
    lines = [*good_lines(), "2018-12-21,W,1,2,3"]
    check = failed(checked(tmp_path, sample, lines))["unique", "service_date"]
    assert [(row["line"], row["values"]["rail"]) for row in check["rows"]] == [(3, 601), (32, 2)]


def test_lines_are_those_of_the_file_also_behind_duplicates(tmp_path: Path, sample: Dataset) -> None:
    lines = good_lines()
    lines = [*lines[:2], lines[1], *edited(3, ",W,", ",X,")(lines)[2:]]
    assert failed(checked(tmp_path, sample, lines))["allowed", "day_type"]["rows"][0]["line"] == 4


def test_a_gap_is_an_error_or_a_count_as_the_contract_says(tmp_path: Path, sample: Dataset) -> None:
    lines = good_lines()
    del lines[10:13]
    report = checked(tmp_path, sample, lines)
    (row,) = failed(report)["no gaps", "service_date"]["rows"]
    assert (row["line"], row["values"]["service_date"], row["values"][batch.ABSENT]) == (11, "2019-01-01", 3)
    report = checked(tmp_path, changed(sample, gaps="missing"), lines)
    assert report["success"]
    assert report["gaps"] == 3
    assert report["holes"] == [{"series": "all", "before": "2019-01-01T00:00:00", "timestamps": 3}]


def test_missing_and_undeclared_columns_are_named(tmp_path: Path, sample: Dataset) -> None:
    renamed = edited(1, "rail", "metro")(good_lines())
    report = checked(tmp_path, sample, renamed)
    assert failed(report)["columns", None]["found"] == "no rail; undeclared metro"
    assert len(report["checks"]) == 1
    more = [f"{line},{'weather' if i == 0 else 'fine'}" for i, line in enumerate(good_lines())]
    assert failed(checked(tmp_path, sample, more))["columns", None]["found"] == "undeclared weather"


def test_a_file_with_only_a_header_fails(tmp_path: Path, sample: Dataset) -> None:
    report = checked(tmp_path, sample, good_lines(0))
    assert ("some rows", None) in failed(report)
    assert report["last"] is None


def test_all_breaks_are_told_at_once_and_only_the_first_rows_of_many(tmp_path: Path, sample: Dataset) -> None:
    lines = [line.replace(",W,", ",X,") for line in edited(3, ",601,", ",6o1,")(good_lines())]
    report = checked(tmp_path, sample, lines)
    assert {("type", "rail"), ("allowed", "day_type")} <= set(failed(report))
    _, found = expectations.text(report)
    allowed = failed(report)["allowed", "day_type"]
    assert allowed["unexpected_count"] == 20
    assert f"and {allowed['unexpected_count'] - 3} more" in found


def test_extremes_are_flagged_and_kept(tmp_path: Path, sample: Dataset) -> None:
    lines = edited(9, "707,607,1314", "707,60,767")(good_lines())
    report = checked(tmp_path, sample, lines)
    assert report["success"]
    assert report["flagged"] == {"rail": [{"time": "2018-12-27T00:00:00", "value": 60.0, "share": 0.0976}]}


@pytest.fixture
def long() -> Dataset:
    return Dataset.model_validate_json(json.dumps(yaml.safe_load(LONG)))


def test_a_long_file_counts_its_holes_by_series(tmp_path: Path, long: Dataset) -> None:
    lines = long_lines()
    del lines[13:15]
    report = checked(tmp_path, long, lines)
    assert report["success"], failed(report)
    assert (report["series"], report["timestamps"], report["gaps"]) == (2, 10, 2)
    assert report["holes"] == [{"series": "y", "before": "2018-12-24T00:00:00", "timestamps": 2}]
    strict = failed(checked(tmp_path, changed(long, gaps="error"), lines))["no gaps", "date"]
    assert [(row["line"], row["values"]["station"]) for row in strict["rows"]] == [(14, "y")]


def test_a_long_file_has_one_row_per_series_and_timestamp(tmp_path: Path, long: Dataset) -> None:
    lines = [*long_lines(), "2018-12-21,x,Red,9.5"]
    check = failed(checked(tmp_path, long, lines))["unique", "date"]
    assert [(row["line"], row["values"]["station"], row["values"]["rides"]) for row in check["rows"]] == [
        (3, "x", 5.5),
        (22, "x", 9.5),
    ]


def test_a_static_covariate_that_changes_is_an_error(tmp_path: Path, long: Dataset) -> None:
    check = failed(checked(tmp_path, long, edited(3, "Red", "Blue")(long_lines())))["static", "line"]
    assert [(row["line"], row["values"]["line"]) for row in check["rows"]] == [(3, "Blue")]


def test_a_time_off_the_grid_is_an_error(tmp_path: Path, long: Dataset) -> None:
    weekly = long.model_copy(update={"freq": "W-THU"})
    lines = [
        LONG_HEADER,
        "2018-12-20,x,Red,1.0",
        "2018-12-27,x,Red,1.0",
        "2019-01-02,x,Red,1.0",
        "2019-01-03,x,Red,1.0",
    ]
    check = failed(checked(tmp_path, weekly, lines))["on the grid", "date"]
    assert [row["line"] for row in check["rows"]] == [4]


@pytest.mark.parametrize(("hour", "line", "count"), [(3, 7, 25), (7, 8, 24)])
def test_a_value_of_a_day_that_has_not_come_where_the_data_are_from_is_an_error(
    tmp_path: Path, sample: Dataset, hour: int, line: int, count: int
) -> None:
    now = dt.datetime(2018, 12, 25, hour, tzinfo=dt.UTC)  # at 3 it is still Christmas Eve in Chicago
    report = checked(tmp_path, sample, good_lines(), now)
    assert {name for name, _ in failed(report)} == {"not of the future"}
    check = failed(report)["not of the future", "service_date"]
    assert (check["unexpected_count"], check["rows"][0]["line"]) == (count, line)
    expected, found = expectations.text(report)
    assert "values up to now, by the clock of America/Chicago" in expected
    assert f"line {line}: service_date='2018-12-{line + 18}', observed after='2018-12-{line + 17} 23:59:59'" in found


def test_the_report_of_a_good_batch_is_the_same_on_any_day(tmp_path: Path, sample: Dataset) -> None:
    last = dt.datetime(2019, 1, 18, 12, tzinfo=dt.UTC)
    assert checked(tmp_path, sample, good_lines(), last) == checked(tmp_path, sample, good_lines())


def test_rows_of_coming_days_without_a_value_are_no_observations(
    tmp_path: Path, long: Dataset, sample: Dataset
) -> None:
    now = dt.datetime(2018, 12, 29, 12, tzinfo=dt.UTC)  # the last day with values
    assert checked(tmp_path, long, [*long_lines(), "2018-12-30,x,Red,"], now)["success"]
    told = failed(checked(tmp_path, long, [*long_lines(), "2018-12-30,x,Red,", "2018-12-31,x,Red,1"], now))
    assert [row["line"] for row in told["not of the future", "date"]["rows"]] == [23]
    nullable = {n: c.model_copy(update={"nullable": True}) for n, c in sample.contract.columns.items()}
    wide, days = changed(sample, columns=nullable), good_lines(10)
    assert checked(tmp_path, wide, [*days, "2018-12-30,U,,,"], now)["success"]
    assert not checked(tmp_path, wide, [*days, "2018-12-30,U,700,,"], now)["success"]


def test_of_steps_shorter_than_a_day_the_hour_counts(tmp_path: Path, long: Dataset) -> None:
    hourly = long.model_copy(update={"freq": "h"})
    lines = [LONG_HEADER, *(f"2018-12-20 {hour:02}:00:00,x,Red,1.0" for hour in range(12))]
    assert checked(tmp_path, hourly, lines, dt.datetime(2018, 12, 20, 11, tzinfo=dt.UTC))["success"]
    told = failed(checked(tmp_path, hourly, lines, dt.datetime(2018, 12, 20, 10, 59, tzinfo=dt.UTC)))
    assert [row["line"] for row in told["not of the future", "date"]["rows"]] == [13]


def test_rows_of_a_parquet_file_are_counted_from_one(tmp_path: Path, long: Dataset) -> None:
    section = long.model_copy(update={"read": long.read.model_copy(update={"format": "parquet"})})
    frame = pd.DataFrame(
        {"date": pd.date_range(FIRST, periods=3), "station": "x", "line": "Red", "rides": [1.0, -2, 3]}
    )
    frame["line"] = frame["line"].astype("category")
    frame.to_parquet(tmp_path / "received.parquet")
    report = expectations.check(section, Whole(rows(tmp_path / "received.parquet", section.read)))
    (row,) = failed(report)["range", "rides"]["rows"]
    assert row == {"row": 2, "values": {"station": "x", "date": "2018-12-21T00:00:00", "rides": -2.0}}


@pytest.mark.parametrize(("newest", "success"), [("2021-11-28", True), ("2021-11-27", False)])
def test_freshness_is_the_age_of_the_newest_row(sample: Dataset, newest: str, success: bool) -> None:
    section = changed(sample, max_age_days=3)
    check = expectations.fresh(section, pd.Timestamp(newest), pd.Timestamp("2021-11-28"))
    assert check["success"] is success
    assert check["found"].startswith(newest)
    assert "2021-11-28 or later" in check["expected"]


def test_data_docs_are_made_anew_and_nothing_is_said_on_the_console(
    tmp_path: Path, sample: Dataset, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    docs = tmp_path / "docs of it"
    file = tmp_path / "received.csv"
    file.write_text("\n".join(good_lines()))
    for _ in range(2):
        expectations.check(sample, Whole(rows(file, sample.read)), docs)
    assert (docs / "index.html").is_file()
    assert len(list(docs.glob("validations/**/*.html"))) == 1
    assert "values must be greater than or equal to" in next(docs.glob("expectations/*.html")).read_text()
    assert capfd.readouterr() == ("", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["docs of it", "received.csv"]
    assert logging.getLogger("great_expectations").level != logging.CRITICAL


def test_an_expectation_that_can_not_be_evaluated_is_no_verdict(
    tmp_path: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = suite.Rule("odd", "rail", "…", (), "ExpectColumnValuesToBeNull", {"column": "not there"})
    monkeypatch.setattr(expectations.checking, "rules", lambda _: [odd])
    with pytest.raises(ToolError, match="`odd` of rail"):
        checked(tmp_path, sample, good_lines())


def test_the_real_file_keeps_its_contract(root: Path, real_data: Path) -> None:
    section = dataset_only(root, "cta")
    report = expectations.check(section, Whole(rows(next(real_data.glob("CTA_*.csv")), section.read)))
    assert report["success"], failed(report)
    assert (report["rows"], report["exact_duplicates"], report["timestamps"], report["gaps"]) == (7701, 62, 7639, 0)
    polar_vortex = ("2019-01-30T00:00:00", 97917.0)
    assert polar_vortex in [(day["time"], day["value"]) for day in report["flagged"]["rail"]]


def test_the_real_stations_keep_their_contract_with_holes_counted(root: Path, real_data: Path) -> None:
    section = dataset_only(root, "cta_stations")
    report = expectations.check(section, Whole(rows(next(real_data.glob("cta_l_*.parquet")), section.read)))
    assert report["success"], failed(report)
    assert (report["rows"], report["series"], report["exact_duplicates"]) == (814756, 146, 0)
    assert (report["gaps"], {hole["timestamps"] for hole in report["holes"]}) == (270, {30})
    assert len(report["holes"]) == 9
