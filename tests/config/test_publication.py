"""The published figures as they are shipped, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
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


PUBLISHED = {
    ("seasonal_naive", "rail", "mae", None): 42_143,
    ("seasonal_naive", "bus", "mae", None): 43_916,
    ("seasonal_naive", "rail", "mape", None): 0.090,
    ("seasonal_naive", "bus", "mape", None): 0.083,
    ("sarima_raw", "rail", "mae", None): 32_041,
    ("sarima_scaled", "rail", "mae", None): 32_041,
    ("linear_lags", "rail", "mae", 1): 37_866,
    ("bare_rnn", "rail", "mae", 1): 102_787,
    ("simple_rnn", "rail", "mae", 1): 29_015,
    ("deep_rnn", "rail", "mae", 1): 31_211,
    ("five_columns", "rail", "mae", 1): 22_062,
    ("two_targets", "rail", "mae", 1): 25_330,
    ("two_targets", "bus", "mae", 1): 26_369,
    ("at_once", "rail", "mae", None): 35_017,
    ("every_step", "rail", "mae", 1): 25_519,
    ("every_step", "rail", "mae", 7): 32_847,
    ("every_step", "rail", "mae", 14): 34_322,
    ("every_step", "rail", "mae", None): 31_385,
}
PROTOCOLS = {"p1": 1, "p2": None, "p3_1": 1, "p3_14": None}  # and the step that is scored
MEASURED = {  # on rail, by protocol
    "seasonal_naive": (41_274, 39_593, 60_690, 65_824),
    "seasonal_naive_364": (25_705, 25_705, 49_024, None),
    "last_of_type": (30_001, 39_667, 39_018, 55_142),
    "day_type_naive": (29_332, 29_465, 42_247, 44_904),
    "auto_ets": (34_188, 38_668, 45_290, 61_620),
    "auto_arima": (25_005, 34_126, 33_518, 43_301),
    "sarimax": (20_109, 22_927, 22_478, 28_270),
    "mlforecast": (18_402, 22_665, 24_984, 31_682),
    "nhits": (20_816, 26_168, 25_442, 32_210),
    "gru": (23_148, 22_279, 25_261, 25_254),
    "lstm": (24_727, 24_775, 24_774, 24_155),
    "tft": (23_631, 25_219, 24_813, 26_369),
    "lightgbm": (17_988, 18_705, 18_265, 19_287),
    "gru_profile": (19_453, 19_897, 18_623, 19_418),
    "blend": (18_377, 19_051, 18_017, 18_948),
}
MEASURED_ON_BUS = {"lightgbm": (21_993, 23_318, 22_773, 23_521)}
SEEDS = {  # lowest and highest of several, measured before
    "simple_rnn": ("29,579 to 30,691",),
    "deep_rnn": ("28,393 to 30,707",),
    "five_columns": ("22,117 to 23,793",),
    "two_targets": ("23,863 to 25,136", "24,926 to 27,490"),
    "at_once": ("33,589 to 34,781",),
    "every_step": ("33,000 to 33,972", "22,679 to 24,277"),
}


def figures(field: str) -> dict[tuple[str, str, str, int | None], float]:
    """What the shipped rows say was ``published`` or ``measured``, by row, series, metric and step."""
    return {
        (name, f.series, f.metric, f.step): getattr(f, field)
        for name, row in publication(ROOT).rows.items()
        if not isinstance(row, ControlRow)
        for f in row.figures
        if getattr(f, field) is not None
    }


def test_every_published_figure_is_shipped() -> None:
    assert figures("published") == PUBLISHED
    assert {type(row) for row in publication(ROOT).rows.values()} == {FittedRow, NetworkRow, ShippedRow, ControlRow}


def test_every_figure_that_was_measured_before_is_shipped() -> None:
    expected = {
        (f"{protocol}_{name}", series, "mae", PROTOCOLS[protocol]): value
        for series, measured in (("rail", MEASURED), ("bus", MEASURED_ON_BUS))
        for name, values in measured.items()
        for protocol, value in zip(PROTOCOLS, values, strict=True)
        if value is not None
    }
    expected["p1_seasonal_naive", "bus", "mae", 1] = 43_442
    expected["sarima_raw_p1", "rail", "mae", 1] = 32_112
    expected["sarima_raw_bus", "bus", "mae", 1] = 36_665
    assert figures("measured") == expected
    rows = publication(ROOT).rows
    assert {name: [r for r in ranges if r not in str(rows[name].note)] for name, ranges in SEEDS.items()} == {
        name: [] for name in SEEDS
    }


def test_a_protocols_rows_are_scored_and_fitted_where_it_says() -> None:
    told = publication(ROOT)
    window = {"p1": "p1", "p2": "p2_but_last", "p3_1": "p3_1", "p3_14": "p3_14"}
    for protocol, name in window.items():
        until = date(2019, 5, 31) if protocol.startswith("p3") else date(2018, 12, 31)
        rows = [told.rows[f"{protocol}_{row}"] for row in MEASURED]
        assert {row.window for row in rows if not isinstance(row, ControlRow)} == {name}
        assert {row.fit_cutoff for row in rows if isinstance(row, FittedRow)} == {until}
    spans = {name: (str(w.first), str(w.last), w.horizon) for name, w in told.windows.items()}
    assert spans["p1"] == ("2019-02-26", "2019-05-31", 1)
    assert spans["p2_but_last"] == ("2019-02-26", "2019-05-30", 14)
    assert spans["p3_1"] == ("2019-06-01", "2020-02-29", 1)
    assert spans["p3_14"] == ("2019-06-01", "2020-02-29", 14)


def test_tuned_models_are_shipped_ones() -> None:
    shipped = {file.stem for file in (ROOT / "conf" / "model").glob("*.yaml")}
    told = publication(ROOT)
    assert {row.tuned for row in told.rows.values() if not isinstance(row, ControlRow)} <= {*shipped, None}
    assert set(told.backtests.values()) <= {file.stem for file in (ROOT / "conf" / "backtest").glob("*.yaml")}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t["rows"]["simple_rnn"].update(window="p9"), "rows.simple_rnn.window"),
        (lambda t: t["quick"].update(rows=["nothing"]), "nothing"),
        (lambda t: t["rows"]["simple_rnn"]["recipe"].update(optimiser="sgd"), "optimizer"),
        (lambda t: t["rows"]["five_columns"].update(targets=["bus"]), "targets"),
        (lambda t: t.update(seeds="5"), "seeds"),
        (lambda t: t["backtests"].pop("spring"), "backtests"),
        (lambda t: t["rows"]["p3_1_auto_ets"].update(fit_cutoff=date(2019, 6, 1)), "before the first target"),
        (lambda t: t["rows"]["p3_1_auto_ets"].update(window="p9"), "rows.p3_1_auto_ets.window"),
        (lambda t: t["rows"]["simple_rnn"]["figures"][0].pop("measured"), "measured"),
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
