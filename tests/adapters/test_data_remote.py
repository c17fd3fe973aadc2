"""The remote that the environment names: a real S3-compatible server instead of the folder of ``.dvc/config``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daycast.adapters import versioning
from daycast.errors import ToolError
from daycast.settings import DATA_REMOTE
from tests.adapters import bucket
from tests.adapters.bucket import Bucket
from tests.adapters.test_versioning import make, make_project


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with bucket.server("dvc") as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a version that no remote has."""
    root = make_project(tmp_path_factory.mktemp("template") / "made")
    make(root, "2")
    return root


@pytest.fixture
def remote(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder behind the remote that the environment names."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(DATA_REMOTE, "s3://dvc/of/a team")
    return server.folder / "dvc" / "of" / "a team"


def lose(root: Path) -> None:
    """Every copy of the data on this machine."""
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(root / "data")


def test_data_go_to_the_server_that_the_environment_names_and_come_back_from_it(remote: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path / "one machine")
    made = make(root, "1")
    versioning.push(root, "toy")
    assert not (root.parent / ".dvcstore").exists()
    kept = {file.relative_to(remote / "files" / "md5") for file in remote.rglob("*") if file.is_file()}
    assert Path(made.version[:2], made.version[2:]) in kept
    other = make_project(tmp_path / "another machine")
    assert versioning.restore(other, made.pointers) == "toy"
    assert versioning.version(other, "toy") == made
    lose(other)
    assert versioning.materialise(other, made.version).read_text() == "prepare of 1"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "Forbidden"),
        ("AWS_ACCESS_KEY_ID", "", "credentials"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
@pytest.mark.usefixtures("remote")
def test_a_server_that_refuses_or_is_away_is_named_with_its_words(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ToolError, match=f"push toy to s3://dvc/of/a team[\\s\\S]*{told}"):
        versioning.push(template, "toy")
    lacking = make_project(tmp_path / "other")
    with pytest.raises(ToolError, match=f"s3://dvc/of/a team gave: [\\s\\S]*{told}[\\s\\S]*{DATA_REMOTE}"):
        versioning.materialise(lacking, versioning.version(template, "toy").version)
