"""The published figures as they are shipped, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT

from daycast.config.reproduce import ControlRow, FittedRow, NetworkRow, ShippedRow, publication
from daycast.errors import ConfigError

SHIPPED = ROOT / "conf" / "reproduce" / "published.yaml"


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A project with the shipped file, changed."""
    told = yaml.safe_load(SHIPPED.read_text())
    change(told)
    file = folder / "conf" / "reproduce" / "published.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(told, sort_keys=False))
    return folder


def test_every_row_of_the_published_table_is_shipped() -> None:
    told = publication(ROOT)
    figures = {
        (name, f.series, f.metric, f.step): f.published
        for name, row in told.rows.items()
        if not isinstance(row, ControlRow)
        for f in row.figures
        if f.published is not None
    }
    assert len(figures) == 18
    assert figures["five_columns", "rail", "mae", 1] == 22_062
    assert figures["every_step", "rail", "mae", None] == 31_385
    assert {type(row) for row in told.rows.values()} == {FittedRow, NetworkRow, ShippedRow, ControlRow}


def test_tuned_models_are_shipped_ones() -> None:
    shipped = {file.stem for file in (ROOT / "conf" / "model").glob("*.yaml")}
    rows = [row for row in publication(ROOT).rows.values() if not isinstance(row, ControlRow)]
    assert {row.tuned for row in rows} <= shipped


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t["rows"]["simple_rnn"].update(window="p9"), "rows.simple_rnn.window"),
        (lambda t: t["quick"].update(rows=["nothing"]), "nothing"),
        (lambda t: t["rows"]["simple_rnn"]["recipe"].update(optimiser="sgd"), "optimizer"),
        (lambda t: t["rows"]["five_columns"].update(targets=["bus"]), "targets"),
        (lambda t: t.update(seeds="5"), "seeds"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(change: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        publication(changed(tmp_path, change))
    assert text in str(error.value)
    assert "conf/reproduce/published.yaml" in str(error.value)


def test_a_missing_file_and_no_yaml_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="published"):
        publication(tmp_path)
    file = changed(tmp_path, lambda _: None) / "conf" / "reproduce" / "published.yaml"
    for text in ("rows: [", "only words", ""):
        file.write_text(text)
        with pytest.raises(ConfigError, match="published"):
            publication(tmp_path)
