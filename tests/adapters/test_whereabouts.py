"""Where the bytes of a version are: the cache, the remote, or nowhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from daycast.adapters import versioning
from daycast.adapters.versioning import DataVersion
from daycast.settings import DATA_REMOTE
from tests.adapters.test_versioning import make, make_project

PREPARED, RAW, REPORT = "data/prepared/toy.parquet", "data/raw/toy/received.csv", "data/validated/toy.json"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataVersion]:
    """A project whose remote has all of a version."""
    root = make_project(tmp_path_factory.mktemp("template") / "made")
    version = make(root, "1")
    versioning.push(root, "toy")
    return root, version


@pytest.fixture
def made(template: tuple[Path, DataVersion], tmp_path: Path) -> tuple[Path, DataVersion]:
    """A copy of it, with its remote."""
    shutil.copytree(template[0].parent, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / template[0].name, template[1]


def where(root: Path, version: DataVersion) -> dict[str, str | None]:
    found = versioning.whereabouts(root, versioning.files(version.pointers))
    return {file.path: file.where for file in found}


def content(folder: Path, md5: str) -> Path:
    return folder / "files" / "md5" / md5[:2] / md5[2:]


def test_pointers_tell_every_file_from_the_sources_bytes_to_the_canonical_frame(
    made: tuple[Path, DataVersion],
) -> None:
    root, version = made
    assert versioning.files(version.pointers)[PREPARED] == version.version
    assert versioning.files(version.pointers)["data/raw/toy"] == version.raw
    assert where(root, version) == dict.fromkeys((RAW, REPORT, PREPARED), "here")


def test_what_the_cache_lost_is_in_the_remote_and_looking_brings_nothing_back(made: tuple[Path, DataVersion]) -> None:
    root, version = made
    shutil.rmtree(root / ".dvc" / "cache")
    assert where(root, version) == dict.fromkeys((RAW, REPORT, PREPARED), "remote")
    assert not content(root / ".dvc" / "cache", version.version).exists()


def test_what_is_nowhere_says_so_and_the_rest_is_still_told(made: tuple[Path, DataVersion]) -> None:
    root, version = made
    for folder in (root / ".dvc" / "cache", root.parent / ".dvcstore", root / ".dvcstore"):
        content(folder, version.version).unlink(missing_ok=True)
    found = {f.path: f for f in versioning.whereabouts(root, versioning.files(version.pointers))}
    assert {path: f.where for path, f in found.items()} == {RAW: "here", REPORT: "here", PREPARED: None}
    assert found[PREPARED].why == "not in DVC's cache, nor in the default remote"


def test_a_damaged_file_of_the_cache_is_not_here(made: tuple[Path, DataVersion]) -> None:
    root, version = made
    file = content(root / ".dvc" / "cache", version.version)
    os.chmod(file, 0o644)
    file.write_text("other bytes")
    assert where(root, version)[PREPARED] == "remote"


def test_a_lost_list_of_raw_files_is_told_as_the_folder(made: tuple[Path, DataVersion]) -> None:
    root, version = made
    for folder in (root / ".dvc" / "cache", root.parent / ".dvcstore", root / ".dvcstore"):
        content(folder, version.raw).unlink(missing_ok=True)
    assert where(root, version) == {"data/raw/toy": None, REPORT: "here", PREPARED: "here"}


def test_a_remote_that_can_not_be_reached_is_told_and_is_no_error(
    made: tuple[Path, DataVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, version = made
    monkeypatch.setenv(DATA_REMOTE, "s3://nowhere/at all")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    shutil.rmtree(root / ".dvc" / "cache")
    found = versioning.whereabouts(root, {PREPARED: version.version})
    assert found[0].where is None
    assert "s3://nowhere/at all gave:" in found[0].why


def test_a_commit_is_known_only_where_the_clone_has_it(tmp_path: Path) -> None:
    root = make_project(tmp_path / "clone")
    here = versioning.commit(root)
    assert versioning.known(root, here)
    assert versioning.known(root, f"{here.removesuffix('-dirty')}-dirty")
    assert versioning.known(root, "0" * 40) is False
    bare = tmp_path / "no clone"
    bare.mkdir()
    assert versioning.known(bare, "0" * 40) is None
