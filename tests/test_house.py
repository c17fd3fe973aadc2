"""The rules of the house that no linter checks: sizes and names."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "flows").rglob("*.py")])
LINES, FUNCTION, ARGUMENTS = 250, 60, 8  # the hard limits; the aims are 200, 40 and 6


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_there_are_modules_to_check():
    assert len(MODULES) > 50


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_a_module_is_small_enough_to_live_in(file):
    assert len(file.read_text().splitlines()) <= LINES


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_functions_and_signatures_are_short(file):
    long = {f.name: f.end_lineno - f.lineno for f in functions(file) if f.end_lineno - f.lineno > FUNCTION}
    wide = {f.name: n for f in functions(file) if (n := len(f.args.args) + len(f.args.kwonlyargs)) > ARGUMENTS}
    assert (long, wide) == ({}, {})


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_a_module_says_what_it_is_for(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_no_module_has_a_name_that_says_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert [name(f) for f in MODULES if empty & {*f.relative_to(ROOT).parts, f.stem}] == []


def test_git_tracks_no_data_and_no_state():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    state = re.compile(r"\.(csv|parquet|db|sqlite|pkl|pt|ckpt|safetensors)(\.gz)?$")
    kept = "tests/golden/"  # versions of earlier releases, a few kB each
    assert [name for name in tracked if state.search(name) and not name.startswith(kept)] == []


def test_a_wheel_would_hold_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = [f.parent.relative_to(ROOT / "src") for f in (ROOT / "src").rglob("__init__.py")]
    assert sorted(listed) == sorted([*(".".join(folder.parts) for folder in found), "flows"])
