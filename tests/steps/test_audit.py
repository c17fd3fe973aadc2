"""The leakage proof, over every forecaster that is shipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.conftest import ROOT
from tests.project import Project

from daycast import models
from daycast.core.forecast import Origin
from daycast.core.frame import Float, Panel
from daycast.errors import ConfigError
from daycast.steps import audit

pytestmark = pytest.mark.xdist_group("flows")

SHIPPED = sorted(p.stem for p in (ROOT / "conf" / "model").glob("*.yaml"))


def families(folder: Path) -> set[tuple[str, ...]]:
    """What the shipped models are, as far as their code differs."""
    told = [next(iter(yaml.safe_load(p.read_text()).values())) for p in folder.glob("*.yaml")]
    return {(m["family"], m.get("cell", ""), m.get("output", ""), m.get("inputs", "")) for m in told}


def test_the_shipped_models_are_of_every_family() -> None:
    assert {family for family, *_ in families(ROOT / "conf/model")} == set(models._FAMILIES)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_forecast_moves_by_a_bit_when_all_that_came_later_is_scrambled(project: Project, name: str) -> None:
    chosen = "naive" if name != "naive" else "seasonal_naive"
    members = yaml.safe_load((ROOT / f"conf/model/{name}.yaml").read_text())[name].get("members", [])
    shorter = ["model.sarimax.train_steps=400"] if name == "sarimax" else []  # ten fits of many regressors
    config = project.config(f"model=[{','.join([chosen, *members, name])}]", *shorter)
    (found,) = audit.leakage(project.settings, config, [name]).to_dict("records")
    assert found["passed"], found["finding"]
    # fit and predict, three scrambles, three origins, two series, seven steps; the forecast, and quantiles learned
    assert found["compared"] == 2 * 3 * 3 * 2 * 7 * (6 if name == "gru_quantiles" else 1)


class Peeking:
    """Gives the sum of what came after the origin, through the array behind the view that it is given."""

    horizon, min_history, takes_new_series = 7, 1, False

    def fit(self, history: Panel, *_: object) -> None:
        """Nothing to learn."""

    def predict(self, origins: Sequence[Origin]) -> Float:
        return np.array([np.full((2, 7), np.nansum(o.history.y.base[:, len(o.history.ds) :])) for o in origins])


def test_a_model_that_peeks_is_caught(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "build", lambda *_: Peeking())
    (found,) = audit.leakage(project.settings, project.config(), ["gru"]).to_dict("records")
    assert not found["passed"]
    assert "forecasts moved with later values, in predict" in found["finding"]


def test_a_model_that_is_not_configured_is_named(project: Project) -> None:
    with pytest.raises(ConfigError, match="lstm"):
        audit.leakage(project.settings, project.config(), ["lstm"])


def test_a_line_tells_model_verdict_and_how_much_was_compared(project: Project) -> None:
    found = audit.leakage(project.settings, project.config(), ["naive", "seasonal_naive"])
    assert list(found.columns) == ["model", "passed", "compared", "finding"]
    pd.testing.assert_series_equal(found["model"], pd.Series(["naive", "seasonal_naive"], name="model"))
