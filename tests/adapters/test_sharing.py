"""The store of results that machines share, on a folder and on a real S3-compatible server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daycast.adapters import sharing
from daycast.errors import ToolError
from tests.adapters.bucket import server


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server of this machine."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # of a server of another test
    with server("results") as bucket:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        yield "s3://results/of-steps"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/a shared folder" if request.param == "folder" else request.getfixturevalue("s3")


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """Files of a step."""
    folder = tmp_path / "here" / "fit" / "0123"
    (folder / "model").mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    (folder / "model" / "weights").write_bytes(os.urandom(200_000))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_what_one_machine_sends_another_fetches_byte_by_byte(url: str, result: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "fit" / "0123"
    assert not sharing.holds(url, "fit", "0123")
    assert not sharing.fetch(url, "fit", "0123", there)
    assert not there.exists()
    sharing.send(url, "fit", "0123", result)
    assert sharing.holds(url, "fit", "0123")
    assert sharing.fetch(url, "fit", "0123", there)
    assert content(there) == content(result)
    assert list(there.parent.iterdir()) == [there]  # nothing unfinished beside it


def test_a_result_that_is_there_is_neither_sent_nor_fetched_again(url: str, result: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "fit" / "0123"
    sharing.send(url, "fit", "0123", result)
    sharing.fetch(url, "fit", "0123", there)
    before = content(there)
    (result / "report.json").write_text("changed")
    sharing.send(url, "fit", "0123", result)
    assert sharing.fetch(url, "fit", "0123", there)
    assert content(there) == before
    other = tmp_path / "elsewhere" / "fit" / "0123"
    sharing.fetch(url, "fit", "0123", other)
    assert content(other) == before


def test_many_at_once_come_to_whole_folders(url: str, result: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda _: sharing.send(url, "fit", "0123", result), range(8)))
        assert all(several.map(lambda i: sharing.fetch(url, "fit", "0123", tmp_path / str(i % 2)), range(8)))
    assert content(tmp_path / "0") == content(tmp_path / "1") == content(result)


def test_a_sender_that_is_killed_half_way_leaves_nothing_under_the_name(
    url: str, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("the disk")

    with monkeypatch.context() as broken:
        broken.setattr("tarfile.TarFile.add", fails)
        with pytest.raises(ToolError, match="the disk"):
            sharing.send(url, "fit", "0123", result)
    assert not sharing.holds(url, "fit", "0123")
    sharing.send(url, "fit", "0123", result)
    assert sharing.holds(url, "fit", "0123")


@pytest.mark.parametrize("url", ["file:///proc/nowhere", "nonsense://x/y"])
def test_a_store_that_can_t_be_used_is_said_with_what_would_be_right(url: str, result: Path) -> None:
    with pytest.raises(ToolError, match="DAYCAST_CACHE_URL") as error:
        sharing.send(url, "fit", "0123", result)
    assert "s3://bucket/cache" in str(error.value)
