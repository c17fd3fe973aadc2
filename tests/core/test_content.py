"""Content keys of values and of code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from daycast.core import content


@dataclass(frozen=True)
class Section:
    """Has pydantic's ``model_dump``."""

    value: object

    def model_dump(self, mode: str) -> dict[str, object]:
        assert mode == "json"
        return {"value": self.value}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of part of the package whose files may be changed."""
    shutil.copytree(content.PACKAGE / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(content.PACKAGE / "errors.py", tmp_path)
    monkeypatch.setattr(content, "PACKAGE", tmp_path)
    content.code.cache_clear()
    yield tmp_path
    content.code.cache_clear()


def test_a_key_is_the_same_for_equal_parts_in_any_order_of_their_names() -> None:
    assert content.key("fit", {"a": 1, "b": [1, 2]}) == content.key("fit", {"b": [1, 2], "a": 1})
    assert content.key(Section(1), date(2020, 1, 1)) == content.key(Section(1), date(2020, 1, 1))
    assert len(content.key("fit")) == 16


@pytest.mark.parametrize(
    "parts", [("fit", 1.0000001), ("fit", "1"), ("fit", None), ("fit", 1, 1), (["fit", 1],), ("tune", 1)], ids=repr
)
def test_a_key_differs_for_parts_that_differ(parts: tuple[object, ...]) -> None:
    assert content.key(*parts) != content.key("fit", 1)


def test_a_key_tells_sections_and_dates_apart() -> None:
    found = [Section(1), Section(2), date(2020, 1, 1), date(2020, 1, 2)]
    assert len({content.key(part) for part in found}) == 4


def test_code_is_the_same_while_no_file_changes(package: Path) -> None:
    before = content.code("core")
    (package / "errors.py").write_text("another")
    (package / "core" / "notes.md").write_text("prose")
    content.code.cache_clear()
    assert content.code("core") == before


@pytest.mark.parametrize("change", ["edited", "added", "deleted", "renamed"])
def test_code_changes_when_a_file_changes(package: Path, change: str) -> None:
    before = content.code("core")
    file = package / "core" / "batch.py"
    if change == "edited":
        file.write_text(file.read_text() + "\n")
    elif change == "added":
        (package / "core" / "deep" / "new.py").parent.mkdir()
        (package / "core" / "deep" / "new.py").touch()
    elif change == "deleted":
        file.unlink()
    else:
        file.rename(file.with_name("other.py"))
    content.code.cache_clear()
    assert content.code("core") != before


def test_code_of_a_file_alone_ignores_its_neighbours(package: Path) -> None:
    before = content.code("core/batch.py"), content.code("errors.py")
    assert before[0] != before[1]
    (package / "core" / "frame.py").write_text("another")
    content.code.cache_clear()
    assert (content.code("core/batch.py"), content.code("errors.py")) == before


def test_code_changes_with_the_release_of_a_library(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    before = content.code("core")
    monkeypatch.setattr(content, "version", lambda name: "99" if name == "torch" else "1")
    content.code.cache_clear()
    assert content.code("core") != before
