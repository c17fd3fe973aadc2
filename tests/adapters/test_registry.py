"""Versions in a real embedded MLflow registry, made of a real forecaster."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import daycast.steps
from daycast import models
from daycast.adapters import registry, tracking
from daycast.adapters.registry import Candidate, Example
from daycast.adapters.tracking import Tracking
from daycast.config import Recurrent, SeasonalNaive, Trainer
from daycast.core.frame import FrameSpec, table
from daycast.errors import ModelError, PromotionError, ToolError
from daycast.steps import serving

CODE = Path(daycast.steps.__path__[0], "served_model.py")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPEC = FrameSpec("D", 7, {"day_of_week": DAYS, "holiday": None}, floor=0.0)
CUTOFF, HORIZON = pd.Timestamp("2020-04-29"), 3
CONF = Path(__file__).parents[2] / "conf"


def section(kind: Any, file: str, **changes: object) -> Any:
    """A section as shipped, made small."""
    told = yaml.safe_load((CONF / file).read_text())
    return kind.model_validate_json(json.dumps({**told.get(Path(file).stem, told), **changes}))


TRAINER = section(Trainer, "trainer/default.yaml", max_epochs=1, validation_steps=10)
NAIVE = SeasonalNaive(family="seasonal_naive", lag=7)
GRU = section(Recurrent, "model/gru.yaml", lookback=14, hidden=4, search={})
ALIEN = {"prefect", "optuna", "dvc", "great_expectations", "pytorch_lightning", "lightning"}
# Loads a version and forecasts in a process that can open no connection, then tells what it loaded on the way.
FRESH = """
import json, socket, sys
def refuse(*_): raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
import pandas as pd
from daycast.adapters import registry
loaded = registry.load(sys.argv[1], sys.argv[2], sys.argv[3])
frame = pd.read_parquet(sys.argv[4])
rows = loaded.model.predict(frame, params={"horizon": 3})
print(json.dumps({"y_hat": rows["y_hat"].tolist(), "modules": [m for m in sys.modules if "." not in m]}))
"""


def canonical() -> pd.DataFrame:
    """Two series from 2020-01-01, observed up to ``CUTOFF`` and known ten days beyond."""
    ds = pd.date_range("2020-01-01", CUTOFF + pd.Timedelta(days=10))
    noise = np.random.default_rng(0).normal(size=(2, len(ds)))
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": ds,
                "y": np.where(ds <= CUTOFF, 1000.0 + 100.0 * (ds.dayofweek >= 5) + 10.0 * noise[i], np.nan),
                "day_of_week": np.asarray(DAYS)[ds.dayofweek],
                "holiday": 0.0,
            }
        )
        for i, name in enumerate(("bus", "rail"))
    ]
    return pd.concat(parts, ignore_index=True)


def candidate(folder: Path, config: Any = NAIVE, libraries: tuple[str, ...] = ()) -> Candidate:
    """A fitted forecaster of ``canonical()`` in ``folder``, as the pipeline hands it over."""
    forecaster = models.build(config, models.BuildContext(HORIZON, 7, 0, TRAINER))
    frame = canonical()
    forecaster.fit(table(frame, SPEC).panel)
    models.save(forecaster, folder / "model")
    index = pd.MultiIndex.from_product([["bus", "rail"], [1, 2, 3]], names=["unique_id", "step"])
    offsets = pd.DataFrame({"q0.1": -5.0, "q0.5": 0.0, "q0.9": 5.0}, index=index)
    told = serving.write(folder / "serving.json", SPEC, ("bus", "rail"), offsets)
    inputs = serving.inputs(frame, SPEC, CUTOFF, HORIZON)
    expected = serving.forecast(serving.Served(forecaster, SPEC, ("bus", "rail"), offsets), inputs, HORIZON)
    return Candidate(
        CODE, {"forecaster": folder / "model", "serving": told}, Example(inputs, HORIZON, expected), libraries
    )


@pytest.fixture
def run(store: Tracking, request: pytest.FixtureRequest) -> str:
    """A run of this test alone."""
    return tracking.open_run(store, "registry", request.node.name, "run", {}, {})


@pytest.fixture
def client(store: Tracking) -> MlflowClient:
    return MlflowClient(store.uri, store.uri)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A registered model of this test alone."""
    return registry.model_name(request.node.name.removeprefix("test_")[:80].replace("[", "-").rstrip("]"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return candidate(tmp_path_factory.mktemp("a candidate"))


@pytest.fixture(scope="module")
def shared(store: Tracking, made: Candidate) -> registry.Version:
    """One registered version for the tests that only look at it."""
    run = tracking.open_run(store, "registry", "shared", "run", {}, {})
    tags = {"daycast.model": "seasonal_naive", "daycast.data_version": "0f" * 16}
    version = registry.register(store.uri, "daycast-shared", run, "key", made, tags)
    registry.set_alias(store.uri, "daycast-shared", "champion", version.number)
    return version


def test_a_key_is_registered_once(store: Tracking, run: str, name: str, made: Candidate) -> None:
    first = registry.register(store.uri, name, run, "key", made, {"daycast.model": "m", "daycast.horizon": "3"})
    assert registry.register(store.uri, name, run, "key", made, {}) == first
    assert first.tags == {"daycast.model": "m", "daycast.horizon": "3", "daycast.key": "key"}
    assert (first.number, first.run_id, first.aliases) == ("1", run, ())
    assert registry.register(store.uri, name, run, "another", made, {}).number == "2"
    assert [v.number for v in registry.versions(store.uri, name)] == ["2", "1"]


def test_threads_that_register_one_key_get_one_version(store: Tracking, run: str, name: str, made: Candidate) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: registry.register(store.uri, name, run, "key", made, {}), range(2)))
    assert [v.number for v in found] == ["1", "1"]


def test_a_version_forecasts_as_its_forecaster_did(store: Tracking, shared: registry.Version, made: Candidate) -> None:
    by_alias = registry.load(store.uri, "daycast-shared", "champion")
    by_number = registry.load(store.uri, "daycast-shared", shared.number)
    assert by_alias.version == by_number.version
    assert by_alias.version.tags["daycast.data_version"] == "0f" * 16
    assert by_alias.version.aliases == ("champion",)
    for loaded in (by_alias, by_number):
        rows = loaded.model.predict(made.example.inputs, params={"horizon": 3})
        pd.testing.assert_frame_equal(rows, made.example.expected)
    shorter = by_alias.model.predict(made.example.inputs, params={"horizon": 1})
    pd.testing.assert_frame_equal(shorter, made.example.expected.query("step == 1").reset_index(drop=True))


def test_the_horizon_defaults_to_the_examples(store: Tracking, shared: registry.Version, made: Candidate) -> None:
    rows = registry.load(store.uri, shared.name, "champion").model.predict(made.example.inputs)
    pd.testing.assert_frame_equal(rows, made.example.expected)


def test_a_version_is_data_and_code_and_no_pickle(store: Tracking, shared: registry.Version) -> None:
    folder = registry.load(store.uri, shared.name, "champion").folder
    files = [p for p in folder.rglob("*") if p.is_file()]
    names = {p.name for p in files}
    assert {"MLmodel", "served_model.py", "serving.json", "config.json", "weights.safetensors"} <= names
    assert not {p.suffix for p in files} & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt"}
    assert not [p for p in files if p.read_bytes()[:1] == b"\x80"]  # how a pickle of protocol 2 or later begins
    flavour = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavour["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert "python_model" not in flavour


def test_a_version_needs_nothing_of_what_it_was_made_from(
    store: Tracking, run: str, name: str, made: Candidate, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(made.files["serving"].parent, source)
    shutil.copy(CODE, source)
    files = {key: source / path.name for key, path in made.files.items()}
    moved = replace(made, code=source / CODE.name, files=files)
    registry.register(store.uri, name, run, "key", moved, {})
    shutil.rmtree(source)
    rows = registry.load(store.uri, name, "1").model.predict(made.example.inputs)
    pd.testing.assert_frame_equal(rows, made.example.expected)


def test_its_requirements_are_pinned_to_what_is_installed(
    store: Tracking, run: str, name: str, made: Candidate
) -> None:
    registry.register(store.uri, name, run, "key", replace(made, libraries=("torch",)), {})
    told = (registry.load(store.uri, name, "1").folder / "requirements.txt").read_text().split()
    pinned = {line.split("==")[0] for line in told if "==" in line}
    assert {"daycast", "numpy", "pandas", "pydantic", "safetensors", "torch"} <= pinned
    assert not [line for line in told if "+" in line]


def test_its_signature_names_every_column_and_the_horizon(store: Tracking, shared: registry.Version) -> None:
    meta = registry.load(store.uri, shared.name, "champion").model.metadata
    assert meta.get_input_schema().input_names() == ["unique_id", "ds", "y", "day_of_week", "holiday"]
    types = [t.name for t in meta.get_input_schema().input_types()]
    assert types == ["string", "datetime", "double", "string", "double"]
    assert meta.get_output_schema().input_names()[:5] == ["unique_id", "cutoff", "ds", "step", "y_hat"]
    (horizon,) = meta.get_params_schema().params
    assert (horizon.name, horizon.default) == ("horizon", 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"y": "many"}, "column y"), ({"holiday": None}, "holiday"), ({"ds": 1}, "column ds")],
    ids=["text for a number", "column missing", "number for a time"],
)
def test_an_input_of_another_shape_is_refused_by_name(
    store: Tracking, shared: registry.Version, made: Candidate, change: Mapping[str, Any], told: str
) -> None:
    frame = made.example.inputs.assign(**change)
    frame = frame.drop(columns=[c for c, v in change.items() if v is None])
    with pytest.raises(MlflowException, match=told):
        registry.load(store.uri, shared.name, "champion").model.predict(frame)


def test_a_candidate_that_forecasts_otherwise_makes_no_version(
    store: Tracking, client: MlflowClient, run: str, name: str, made: Candidate
) -> None:
    expected = made.example.expected.copy()
    expected.loc[2, "y_hat"] *= 1 + 1e-5
    liar = replace(made, example=replace(made.example, expected=expected))
    experiment = [client.get_run(run).info.experiment_id]
    before = {m.model_id for m in client.search_logged_models(experiment)}
    with pytest.raises(ModelError, match=r"differences up to 0\.01"):
        registry.register(store.uri, name, run, "key", liar, {})
    assert registry.versions(store.uri, name) == []
    assert {m.model_id for m in client.search_logged_models(experiment)} == before


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.iloc[:-1],
        lambda e: e.drop(columns="q0.9"),
        lambda e: e.assign(cutoff=e["cutoff"] - pd.Timedelta(days=1)),
    ],
    ids=["rows", "columns", "cutoff"],
)
def test_a_candidate_with_another_table_makes_no_version(
    store: Tracking, run: str, name: str, made: Candidate, change: Any
) -> None:
    liar = replace(made, example=replace(made.example, expected=change(made.example.expected)))
    with pytest.raises(ModelError, match="from the loaded model"):
        registry.register(store.uri, name, run, "key", liar, {})
    assert registry.versions(store.uri, name) == []


@pytest.mark.parametrize("broken", ["weights.safetensors", "config.json"])
def test_a_candidate_that_does_not_load_makes_no_version(
    store: Tracking, run: str, name: str, made: Candidate, tmp_path: Path, broken: str
) -> None:
    shutil.copytree(made.files["forecaster"], tmp_path / "model")
    (tmp_path / "model" / broken).write_bytes(b"{")
    bad = replace(made, files={**made.files, "forecaster": tmp_path / "model"})
    with pytest.raises(ModelError):
        registry.register(store.uri, name, run, "key", bad, {})
    assert registry.versions(store.uri, name) == []


def test_a_candidate_whose_code_fails_makes_no_version(
    store: Tracking, run: str, name: str, made: Candidate, tmp_path: Path
) -> None:
    code = tmp_path / "served_model.py"
    code.write_text(CODE.read_text().replace('context.artifacts["serving"]', 'context.artifacts["nothing"]'))
    with pytest.raises(ModelError, match="KeyError: 'nothing'"):
        registry.register(store.uri, name, run, "key", replace(made, code=code), {})
    assert registry.versions(store.uri, name) == []


def test_what_a_killed_registration_left_is_cleared_away_once_it_is_old(
    store: Tracking, client: MlflowClient, run: str, name: str, made: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[registry.register.__module__], "UNFINISHED_S", -1.0)
    experiment = client.get_run(run).info.experiment_id
    client.create_logged_model(experiment, source_run_id=run, tags={"daycast.key": "killed"})
    version = registry.register(store.uri, name, run, "killed", made, {"daycast.model": "m"})
    (left,) = client.search_logged_models([experiment], "tags.`daycast.key` = 'killed'")
    assert (left.name, left.status) == ("m", "READY")
    assert client.get_model_version_download_uri(name, version.number) == left.artifact_location
    assert json.loads(left.tags["mlflow.modelVersions"]) == [{"name": name, "version": "1"}]
    assert [m.model_id for m in client.get_run(run).outputs.model_outputs] == [left.model_id]


def test_an_alias_names_one_version_at_a_time(store: Tracking, run: str, name: str, made: Candidate) -> None:
    for key in ("a", "b"):
        registry.register(store.uri, name, run, key, made, {})
    assert registry.by_alias(store.uri, name, "champion") is None
    for number in ("1", "2", "2"):
        registry.set_alias(store.uri, name, "champion", number)
    registry.set_alias(store.uri, name, "challenger", "2")
    assert [(v.number, set(v.aliases)) for v in registry.versions(store.uri, name)] == [
        ("2", {"champion", "challenger"}),
        ("1", set()),
    ]
    champion = registry.by_alias(store.uri, name, "champion")
    assert champion is not None
    assert champion.number == "2"
    registry.unset_alias(store.uri, name, "challenger")
    assert registry.by_alias(store.uri, name, "challenger") is None


def test_without_a_champion_the_error_says_how_to_get_one(store: Tracking) -> None:
    assert registry.versions(store.uri, "daycast-nowhere") == []
    assert registry.by_alias(store.uri, "daycast-nowhere", "champion") is None
    with pytest.raises(PromotionError, match="run `daycast run dataset=nowhere` first"):
        registry.load(store.uri, "daycast-nowhere", "champion")


def test_a_version_that_does_not_exist_is_an_error_that_names_it(store: Tracking, shared: registry.Version) -> None:
    with pytest.raises(ToolError, match="version=99"):
        registry.load(store.uri, shared.name, "99")


@pytest.mark.parametrize("config", [NAIVE, GRU], ids=["seasonal_naive", "gru"])
def test_a_fresh_process_forecasts_without_network_or_training_tools(
    store: Tracking, run: str, name: str, tmp_path: Path, config: Any
) -> None:
    made = candidate(tmp_path, config)
    registry.register(store.uri, name, run, "key", made, {})
    made.example.inputs.to_parquet(tmp_path / "in.parquet")
    arguments = [store.uri, name, "1", str(tmp_path / "in.parquet")]
    done = subprocess.run([sys.executable, "-c", FRESH, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(told["y_hat"], made.example.expected["y_hat"], rtol=1e-6)
    assert ALIEN & set(told["modules"]) == set()
