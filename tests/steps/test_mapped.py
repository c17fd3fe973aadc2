"""Arrays on disk: written as they come, mapped, and the same as those made in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.core.test_streaming import same
from tests.project import Project

from daycast.adapters import registry
from daycast.core import parts
from daycast.core.frame import table as to_table
from daycast.errors import DataError
from daycast.steps import data, serving, transform, window
from daycast.steps.mapped import Files, array
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import FoldRef
from daycast.steps.split import split


@pytest.mark.parametrize("shape", [(11, 3), (11,), (11, 2, 5), (11, 0)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_rows_written_as_they_come_are_the_array_that_they_make(
    tmp_path: Path, shape: tuple[int, ...], kind: type
) -> None:
    whole = np.random.default_rng(0).normal(0, 100, shape).astype(kind)
    with Files(tmp_path) as files:
        for rows in (slice(0, 1), slice(1, 7), slice(7, 7), slice(7, 11)):
            files.append("a", np.asfortranarray(whole[rows]))
            files.whole("b", whole[rows][:1])
    found = array(tmp_path, "a")
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.dtype == kind
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(array(tmp_path, "b"), whole[:1])


def mapped(values: np.ndarray) -> bool:
    while isinstance(values.base, np.ndarray):
        values = values.base
    return isinstance(values, np.memmap)


def test_a_table_is_mapped_and_the_one_that_the_frame_makes(project: Project) -> None:
    config, spec = project.config(), project.config().dataset.spec()
    found = data.table(project.settings, config, project.data)
    same(to_table(data.frame(project.settings, project.data), spec), found)
    assert all(mapped(values) for values in (found.panel.y, found.panel.known, found.beyond.known))


def test_a_table_as_of_a_day_is_the_one_that_the_frame_of_the_day_makes(project: Project) -> None:
    spec, then = project.config().dataset.spec(), project.data.until(pd.Timestamp("2019-07-03").date())
    found = data.arrays(project.settings, spec, then)
    same(to_table(data.seen(project.settings, then, spec), spec), found)
    assert mapped(found.panel.y)
    assert found.panel.cutoff == pd.Timestamp("2019-07-03")


def test_a_version_without_a_column_is_told(project: Project) -> None:
    spec = project.config().dataset.spec()
    with pytest.raises(DataError, match="humidity"):
        data.arrays(project.settings, type(spec)(**{**vars(spec), "past": ("humidity",)}), project.data)


def test_windows_made_in_parts_of_the_series_are_those_made_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project.config("model=[naive,gru_profile_panel]", "seed=31")
    ref = FoldRef.of(split(project.settings, config, project.data).test.fold())
    given = (project.settings, config, project.data, ref, config.model["gru_profile_panel"])
    whole = window.load_windows(*given)
    assert whole is not None
    assert len(whole.inputs) == 2
    later = given[2].model_copy(update={"as_of": "2030-01-01"})  # the same data under another key
    monkeypatch.setattr(parts, "SERIES", 1)
    found = window.load_windows(*given[:2], later, *given[3:])
    assert found is not None
    np.testing.assert_array_equal(found.runs.rows, whole.runs.rows)
    for name in ("inputs", "known", "static"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert whole.anchors is not None
    assert found.anchors is not None
    for one, other in zip(found.anchors, whole.anchors, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)  # their unit, a deviation over all, is added up otherwise
    assert {file.name for file in (project.settings.cache("transform", "")).iterdir()}
    assert transform.STATE


def test_a_forecast_from_the_table_is_the_served_model_s_own(
    project: Project, trained: tuple[Project, Outcome]
) -> None:
    champion = trained[1].champion
    assert champion is not None
    loaded = registry.load(project.settings.tracking_uri, champion.name, champion.version)
    served = serving.of_version(loaded.folder)
    known = data.arrays(project.settings, served.spec, project.data)
    frame = serving.inputs(data.frame(project.settings, project.data), served.spec, known.panel.cutoff, 7)
    asked = loaded.model.predict(frame, params={"horizon": 7})
    pd.testing.assert_frame_equal(serving.from_table(served, known, 7), asked, rtol=1e-6)
