"""A panel read in parts is what it is when read whole: its rows, its report, its canonical frame."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from daycast.adapters import expectations
from daycast.adapters.sources import rows
from daycast.adapters.sources.parting import MOST, parts
from daycast.config import Dataset
from daycast.core.raw import Whole
from daycast.errors import SourceError
from daycast.steps.prepare import _write
from tests.adapters.test_expectations import LONG

pytestmark = pytest.mark.xdist_group("expectations")

AT_ONCE = 500


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")


def dataset(form: str) -> Dataset:
    told = yaml.safe_load(LONG)
    told["read"]["format"] = form
    told["contract"]["flag_below"] = 0.1
    told["contract"]["columns"] |= {
        "line": {"type": "str", "nullable": True},
        "count": {"type": "int", "nullable": True},
    }
    told["covariates"]["static"] = {"line": ["1", "2"]}
    return Dataset.model_validate_json(json.dumps(told))


def panel(series: int = 40, *, sound: bool) -> pd.DataFrame:
    """Rows in no order, with duplicates and holes, and whole numbers of which some are missing."""
    random = np.random.default_rng(series)
    days = pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    frame = pd.DataFrame(
        [(day, f"s{n}", str(1 + n % 2), float(random.integers(5, 100)), n) for n in range(series) for day in days],
        columns=["date", "station", "line", "rides", "count"],
    )
    frame = frame.drop(random.choice(frame.index, 100, replace=False))
    frame["count"] = frame["count"].astype("Int64").mask(frame["station"] == "s7")
    frame = pd.concat([frame, frame.iloc[:20]]).sample(frac=1, random_state=0, ignore_index=True)
    if not sound:
        frame["rides"] = frame["rides"].astype(object)
        frame.loc[1700, "rides"] = "many"
        frame.loc[[30, 1900], "rides"] = -1.0
        frame.loc[400, "date"] = "2020-13-01"
        frame.loc[[401, 2100], "station"] = None
        frame.loc[600, "line"] = "3"
        frame.loc[700, "count"] = None
    return frame


def written(frame: pd.DataFrame, form: str, to: Path) -> Path:
    if form == "parquet":
        typed = frame.astype({"count": "float64"}) if frame["count"].isna().all() else frame
        typed.assign(
            rides=pd.to_numeric(frame["rides"], errors="coerce"), line=frame["line"].astype("category")
        ).to_parquet(to)
    else:
        text = frame.to_csv(index=False).encode()
        to.write_bytes(gzip.compress(text) if form == "csv.gz" else text)
    return to


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("sound", [True, False])
def test_all_rows_are_there_once_at_their_position_with_all_of_a_series_in_one_part(
    tmp_path: Path, form: str, sound: bool
) -> None:
    section = dataset(form)
    file = written(panel(sound=sound), form, tmp_path / "many")
    whole = rows(file, section.read)
    with parts(file, section.read, tmp_path / "room", AT_ONCE) as raw:
        frames = list(raw.frames())
        times = pd.concat(raw.frames(["date"]))
        assert (raw.parts, list(raw.columns)) == (len(frames), list(whole.columns))
    assert len(frames) == 5
    assert max(map(len, frames)) < 2 * AT_ONCE
    names = [set(frame["station"].dropna()) for frame in frames]
    assert sum(map(len, names)) == len(set.union(*names)) == 40
    flat = [name for of in names for name in sorted(of)]
    assert flat == sorted(flat)
    assert all(frame.index.is_monotonic_increasing for frame in frames)
    again = pd.concat(frames).sort_index()
    for column in whole:
        kept = whole[column].astype(object)
        pd.testing.assert_series_equal(
            again[column].astype(object).where(again[column].notna(), None),
            kept.where(kept.notna(), None),
            check_names=False,
        )
    assert times.sort_index()["date"].tolist() == whole["date"].tolist()
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("sound", [True, False])
def test_the_report_does_not_depend_on_the_parts(tmp_path: Path, form: str, sound: bool) -> None:
    section = dataset(form)
    file = written(panel(sound=sound), form, tmp_path / "many")
    whole = expectations.check(section, Whole(rows(file, section.read)))
    with parts(file, section.read, tmp_path / "room", AT_ONCE) as raw:
        found = expectations.check(section, raw, tmp_path / "docs")
    assert json.dumps(found) == json.dumps(whole)
    assert found["success"] == sound
    assert found["exact_duplicates"] == 20
    pages = list((tmp_path / "docs").rglob("validations/**/*.html"))
    assert len(pages) == 5


def test_what_is_prepared_does_not_depend_on_the_parts(tmp_path: Path) -> None:
    section = dataset("csv")
    file = written(panel(sound=True), "csv", tmp_path / "many")
    for name, at_once in (("whole", 10**6), ("parts", AT_ONCE)):
        with parts(file, section.read, tmp_path / "room", at_once) as raw:
            _write(raw, section, tmp_path / name)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "parts"), pd.read_parquet(tmp_path / "whole"))


def test_there_are_never_too_many_files_open(tmp_path: Path) -> None:
    section = dataset("parquet")
    file = written(panel(300, sound=True), "parquet", tmp_path / "many")
    with parts(file, section.read, tmp_path / "room", 20) as raw:
        assert MOST / 2 < raw.parts <= MOST
        assert sum(map(len, raw.frames())) == 300 * 60 - 100 + 20


def test_what_a_killed_process_left_is_gone_and_so_is_what_one_that_fails_leaves(tmp_path: Path) -> None:
    section = dataset("csv")
    file = written(panel(sound=True), "csv", tmp_path / "many")
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "0.arrow").write_text("half of it")

    def stopped() -> None:
        with parts(file, section.read, tmp_path / "room", AT_ONCE) as raw:
            assert sum(map(len, raw.frames())) == len(rows(file, section.read))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_damaged_far_behind_is_told_as_when_it_is_read_whole(tmp_path: Path, form: str) -> None:
    section = dataset(form)
    file = written(panel(sound=True), form, tmp_path / "many")
    if form == "csv":
        file.write_text(file.read_text() + "2020-01-01,s1,1,5,5,6,7,8\n")
    else:
        file.write_bytes(file.read_bytes()[:-20])
    with (
        pytest.raises(SourceError, match=f"a readable {form} file"),
        parts(file, section.read, tmp_path / "room", AT_ONCE),
    ):
        pass
