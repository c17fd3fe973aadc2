"""ingest, validate, prepare and restore, end to end on real DVC and real Great Expectations."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.project import ship

from daycast.adapters import tracking, versioning
from daycast.config import dataset_only
from daycast.core.simulate import ridership
from daycast.errors import ConfigError, ContractError, DataError
from daycast.settings import QUIET, Settings
from daycast.steps import __main__ as stages
from daycast.steps import prepare, validate
from daycast.steps.ingest import ingest
from daycast.steps.record import tracker
from daycast.steps.restore import restore

pytestmark = pytest.mark.xdist_group("data steps")  # what is made once is made in one process


# Python runs a module of this name at its start: it writes down what of daycast the process has imported at its end.
WATCH = """
import atexit, os, pathlib, sys

def write():
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    found = {file for file in files if "/src/daycast/" in file}
    target = os.environ.get("WATCH_IMPORTS")
    if target and found and sys.argv[1:]:
        pathlib.Path(target, sys.argv[1]).write_text("\\n".join(sorted(found)))

atexit.register(write)
"""


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


def copy(project: Path) -> Settings:
    """A project as it is shipped, in which nothing was done."""
    ship(project)
    return Settings(project, project / ".daycast", "", "", "")


def git(project: Path, *words: str) -> str:
    named = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(["git", *named, *words], cwd=project, check=True, capture_output=True, text=True).stdout


def everything(here: Settings) -> dict[str, bytes]:
    """The dataset's files and records, by path; quarantine apart."""
    there = [*here.root.glob("data/*/sample*"), *here.root.glob("data/raw/sample/*"), here.root / "dvc.lock"]
    return {str(p.relative_to(here.root)): p.read_bytes() for p in there if p.is_file()}


def broken(here: Settings, tmp_path: Path, name: str = "broken.csv") -> Path:
    """The sample with a wrong total on line 5 and an unknown day type on line 9."""
    ingest(here, "sample", fetch=False)
    lines = (here.root / "data/raw/sample/received.csv").read_text().splitlines()
    header = lines[0].split(",")
    for line, column, change in ((5, "total_rides", lambda text: str(int(text) + 1)), (9, "day_type", lambda _: "X")):
        cells = lines[line - 1].split(",")
        where = header.index(column)
        cells[where] = change(cells[where])
        lines[line - 1] = ",".join(cells)
    file = tmp_path / name
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which each stage that runs leaves the list of daycast's files that it imported."""
    return tmp_path_factory.mktemp("imports")


@pytest.fixture(scope="module")
def ready(imports: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A git clone with the sample ingested, validated and prepared."""
    here = copy(tmp_path_factory.mktemp("a clone") / "of daycast")
    git(here.root, "init", "-q")
    watcher = tmp_path_factory.mktemp("watcher")
    (watcher / "sitecustomize.py").write_text(WATCH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(watcher))
        patch.setenv("WATCH_IMPORTS", str(imports))
        assert ingest(here, "sample").changed
        assert validate.validate(here, "sample").ran
        prepare.prepare(here, "sample")
    git(here.root, "add", ".")
    git(here.root, "commit", "-q", "-m", "the sample")
    return here


@pytest.fixture
def here(ready: Settings, tmp_path: Path) -> Settings:
    """A copy of the ready clone, to be spoilt."""
    project = shutil.copytree(ready.root, tmp_path / "a copy")
    return Settings(project, project / ".daycast", "", "", "")


def test_the_data_version_is_the_md5_of_the_canonical_frame(ready: Settings) -> None:
    data = prepare.prepare(ready, "sample")
    assert data.version == versioning.version(ready.root, "sample").version
    frame = pd.read_parquet(versioning.materialise(ready.root, data.version))
    assert list(frame.columns[:3]) == ["unique_id", "ds", "y"]
    assert frame["unique_id"].unique().tolist() == ["bus", "rail"]
    assert str(frame["ds"].dtype) == "datetime64[ns]"
    assert frame.equals(pd.read_parquet(ready.root / "data/prepared/sample.parquet"))


def test_nothing_runs_twice_and_git_sees_no_change(ready: Settings) -> None:
    before = everything(ready)
    assert not ingest(ready, "sample").changed
    assert not ingest(ready, "sample", fetch=False).changed
    checked = validate.validate(ready, "sample")
    assert not checked.ran
    assert checked.report["success"]
    assert (checked.rows, checked.exact_duplicates, checked.series, checked.gaps) == (2191, 0, 2, 0)
    prepare.prepare(ready, "sample")
    assert everything(ready) == before
    assert git(ready.root, "status", "--porcelain") == ""


def test_the_report_tells_neither_the_time_nor_the_place(ready: Settings) -> None:
    text = validate.report_file(ready, "sample").read_text()
    report = json.loads(text)
    assert {"dataset", "file", "md5", "rows", "exact_duplicates", "gaps", "flagged", "checks", "success"} <= set(report)
    assert str(ready.root) not in text
    assert dt.date.today().isoformat() not in text
    assert (validate.docs_folder(ready, "sample") / "index.html").is_file()


def test_data_docs_that_were_deleted_are_made_again(here: Settings) -> None:
    before = everything(here)
    shutil.rmtree(here.state)
    validate.validate(here, "sample")
    assert (validate.docs_folder(here, "sample") / "index.html").is_file()
    assert everything(here) == before


@pytest.mark.parametrize("stage", ["validate", "prepare"])
def test_a_stage_lists_exactly_the_code_that_it_imports(ready: Settings, imports: Path, stage: str) -> None:
    ran = {str(Path(file).relative_to(ready.root)) for file in (imports / stage).read_text().splitlines()}
    listed = yaml.safe_load((ready.root / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert {dep for dep in listed if dep.endswith(".py")} == ran


def test_every_shipped_dataset_is_listed_in_both_stages(root: Path) -> None:
    listed = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    shipped = {file.stem for file in (root / "conf" / "dataset").glob("*.yaml")}
    assert [set(listed[stage]["matrix"]["dataset"]) for stage in ("validate", "prepare")] == [shipped, shipped]


def test_a_batch_that_breaks_its_contract_goes_to_quarantine_and_the_last_good_version_stays(
    here: Settings, tmp_path: Path
) -> None:
    file = broken(here, tmp_path)
    before = everything(here)
    places = []
    for _ in range(2):  # the second time ends as the first did
        raw = ingest(here, "sample", from_file=file)
        assert raw.changed
        with pytest.raises(ContractError) as caught:
            validate.validate(here, "sample")
        place = here.root / "data" / "quarantine" / "sample" / raw.md5.removesuffix(".dir")
        places.append(place)
        assert (place / "received.csv").read_bytes() == file.read_bytes()
        report = json.loads((place / "report.json").read_text())
        assert sorted((c["name"], c["rows"][0]["line"]) for c in report["checks"] if not c["success"]) == [
            ("allowed", 9),
            ("identity", 5),
        ]
        assert (place / "docs" / "index.html").is_file()
        text = str(caught.value)
        for told in (
            "bus + rail = total_rides",
            "line 5",
            "one of W, A, U",
            "day_type='X'",
            str(place.name),
            "in force",
        ):
            assert told in text
        assert caught.value.exit_code == 3
        assert everything(here) == before
    assert len(list(places[0].parent.iterdir())) == 1
    assert not validate.validate(here, "sample").ran


def test_a_batch_of_days_that_have_not_come_goes_to_quarantine_and_the_last_good_version_stays(
    here: Settings, tmp_path: Path
) -> None:
    section, before = dataset_only(here.root, "sample"), everything(here)
    today = section.today()
    file = tmp_path / "ahead.csv"
    ridership(1, "2018-01-01", today.year - 2016).to_csv(file, index=False)
    raw = ingest(here, "sample", from_file=file)
    with pytest.raises(ContractError, match="service_date \\(not of the future\\)") as caught:
        validate.validate(here, "sample", today + dt.timedelta(days=1000))  # which is of the newest row's age alone
    assert "1 of 22 checks fail" in caught.value.found
    assert f"service_date='{today + dt.timedelta(days=1)}', observed after='{today} " in caught.value.found
    assert (here.root / "data/quarantine/sample" / raw.md5.removesuffix(".dir") / "report.json").is_file()
    assert everything(here) == before


def test_a_first_batch_that_breaks_its_contract_leaves_only_quarantine_and_a_good_one_then_the_same_version(
    ready: Settings, tmp_path: Path
) -> None:
    here = copy(tmp_path / "an image, without git")
    bad = broken(ready, tmp_path)
    ingest(here, "sample", from_file=bad)
    with pytest.raises(ContractError, match="no earlier good version"):
        validate.validate(here, "sample")
    assert everything(here) == {}
    with pytest.raises(DataError, match="daycast ingest dataset=sample"):
        validate.validate(here, "sample")
    ingest(here, "sample", fetch=False)
    validate.validate(here, "sample")
    prepare.prepare(here, "sample")
    assert everything(here) == everything(ready)


def test_the_committed_record_of_the_sample_is_the_one_that_the_code_makes(root: Path, ready: Settings) -> None:
    if not (root / "data/raw/sample.dvc").is_file():
        pytest.skip("data/raw/sample.dvc is not in this tree")
    assert (root / "data/raw/sample.dvc").read_text() == (ready.root / "data/raw/sample.dvc").read_text()
    assert versioning.recorded(root, "sample") == versioning.recorded(ready.root, "sample")


def test_a_run_s_data_come_back_exactly(here: Settings) -> None:
    here = replace(here, tracking_uri=f"sqlite:///{here.state / 'mlflow.db'}")
    data = prepare.prepare(here, "sample")
    before = everything(here)
    run_id = tracking.open_run(tracker(here), "sample", "a key", "a run", {}, {})
    tracking.put(tracker(here), run_id, {"data_pointers.json": json.dumps(data.pointers)})
    shutil.rmtree(here.root / "data" / "raw")
    (here.root / "data/prepared/sample.parquet").write_bytes(b"other")
    (here.root / "dvc.lock").unlink()
    with pytest.raises(ConfigError, match="which no run has"):
        restore(here, "another run")
    assert restore(here, run_id) == data
    assert everything(here) == before


def test_a_stale_batch_blocks_but_stays(ready: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    section = dataset_only(ready.root, "sample")
    limited = section.model_copy(update={"contract": section.contract.model_copy(update={"max_age_days": 3})})
    monkeypatch.setattr(validate, "dataset_only", lambda *_: limited)
    before = everything(ready)
    newest = dt.date(2023, 12, 31)
    assert validate.validate(ready, "sample", newest + dt.timedelta(days=3)).report["last"].startswith(str(newest))
    with pytest.raises(ContractError, match=f"newest row is of {newest}"):
        validate.validate(ready, "sample", newest + dt.timedelta(days=4))
    with pytest.raises(ContractError, match=f"as of {section.today()}"):
        validate.validate(ready, "sample")
    assert everything(ready) == before
    assert not (ready.root / "data" / "quarantine").exists()


def test_prepare_refuses_a_raw_file_that_was_not_validated(here: Settings, tmp_path: Path) -> None:
    ingest(here, "sample", from_file=broken(here, tmp_path))
    with pytest.raises(DataError, match="daycast validate dataset=sample"):
        prepare.run(here, "sample")
    validate.report_file(here, "sample").unlink()
    with pytest.raises(DataError, match="a validation report of sample"):
        prepare.run(here, "sample")
    shutil.rmtree(here.root / "data/raw/sample")
    with pytest.raises(DataError, match="daycast ingest dataset=sample"):
        prepare.run(here, "sample")


def test_an_unreadable_file_is_an_error_of_the_source_not_of_the_contract(here: Settings) -> None:
    (here.root / "data/raw/sample/received.csv").write_bytes(b'a,b\n1,"2\n')
    with pytest.raises(DataError) as caught:
        validate.validate(here, "sample")
    assert type(caught.value).__name__ == "SourceError"


def test_the_stages_command_tells_its_errors_and_exits_with_their_code(
    here: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYCAST_ROOT", str(here.root))
    monkeypatch.delenv("DAYCAST_OUTCOME", raising=False)
    assert stages.main(["vallidate", "sample"]) == ConfigError.exit_code
    assert stages.main(["prepare", "nothing"]) == ConfigError.exit_code
    assert "found:    `vallidate sample`" in capsys.readouterr().err


def test_the_stages_command_works_by_hand(here: Settings) -> None:
    env = os.environ | {"PYTHONPATH": str(here.root / "src"), "DAYCAST_ROOT": str(here.root)}
    made = here.root / "data/prepared/sample.parquet"
    before = made.read_bytes()
    made.unlink()
    subprocess.run([sys.executable, "-m", "daycast.steps", "prepare", "sample"], cwd=here.root, env=env, check=True)
    assert made.read_bytes() == before
