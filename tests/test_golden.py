"""Versions that earlier releases registered load with today's code, and forecast what they did then."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from daycast import models
from daycast.adapters import registry
from daycast.adapters.registry.package import read
from tests.golden import make

GOLDEN = Path(make.__file__).parent
VERSIONS = sorted(file.parent for file in GOLDEN.glob("*/*/MLmodel"))
LARGEST = 1_000_000  # bytes of one release
PATH = re.compile(rb"(?<![\w.])/(tmp|home|root|work|var|Users|usr|opt|mnt)/")
PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt"}


def name(folder: Path) -> str:
    return str(folder.relative_to(GOLDEN))


@pytest.mark.parametrize("folder", VERSIONS, ids=name)
def test_it_loads_and_forecasts_what_it_did(folder: Path) -> None:
    example = registry.stored(folder)
    registry.prove(read(folder), example)
    assert len(example.expected) == len(make.IDS) * make.HORIZON
    assert example.expected["y_hat"].between(50, 5000).all()


@pytest.mark.parametrize("folder", VERSIONS, ids=name)
def test_it_holds_data_and_code_alone_and_no_path_of_the_machine_that_made_it(folder: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert not {file.suffix for file in files} & PICKLES
    assert [file.name for file in files if PATH.search(file.read_bytes())] == []


def test_this_release_has_one_of_every_family_and_kind() -> None:
    release = GOLDEN / version("daycast")
    found = {f.name: json.loads((f / "artifacts/model/config.json").read_text()) for f in release.iterdir()}
    assert {*found} == {*make.MADE}
    assert {told["family"] for told in found.values()} == {*models._FAMILIES}
    assert {told["seeds"] for told in found.values()} >= {1, 2}
    headed = {name for name in found if json.loads((release / name / "artifacts/serving.json").read_text())["headed"]}
    assert headed == {*make.HEADED}
    assert {told["model"]["inputs"] for told in found.values() if told["family"] == "recurrent"} == {"joint", "each"}


def test_a_release_is_small() -> None:
    for release in {folder.parent for folder in VERSIONS}:
        assert sum(f.stat().st_size for f in release.rglob("*") if f.is_file()) < LARGEST, release


def test_a_release_that_is_there_is_not_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> dict[str, int]:
        return {str(f): f.stat().st_mtime_ns for f in GOLDEN.rglob("*") if f.suffix != ".pyc"}

    before = state()
    assert make.main() == 0
    assert state() == before
    assert capsys.readouterr().out.splitlines() == [f"{name} is there already, and stays" for name in make.MADE]
