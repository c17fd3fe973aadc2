"""The same calls, unchanged, against a real MLflow server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

import daycast.steps
from daycast import models
from daycast.adapters import registry, tracking
from daycast.adapters.registry import Candidate, Example
from daycast.adapters.tracking import Results, Tracking
from daycast.config import SeasonalNaive, Trainer
from daycast.core.frame import FrameSpec
from daycast.errors import MissingError, ToolError, unanswered
from daycast.steps import serving


@pytest.fixture(scope="module")
def server(store: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """A server of one worker, on a copy of the session's database so that it need not migrate."""
    folder = tmp_path_factory.mktemp("a server")
    shutil.copy(store.uri.removeprefix("sqlite:///"), folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "a"),
    ]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield Tracking(f"http://127.0.0.1:{port}")
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the server and its worker, a group of their own
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the server did not answer in a minute: {log.read_text()}")


def candidate(folder: Path) -> Candidate:
    told = Path(__file__).parents[2] / "conf" / "trainer" / "default.yaml"
    trainer = Trainer.model_validate_json(json.dumps(yaml.safe_load(told.read_text())))
    forecaster = models.build(SeasonalNaive(family="seasonal_naive", lag=7), models.BuildContext(3, 7, 0, trainer))
    models.save(forecaster, folder / "model")
    spec = FrameSpec("D", 7)
    frame = pd.DataFrame({"unique_id": "rail", "ds": pd.date_range("2020-01-01", periods=30), "y": range(30)})
    inputs = serving.inputs(frame, spec, pd.Timestamp("2020-01-20"), 3)
    expected = serving.forecast(serving.Served(forecaster, spec, ("rail",), None), inputs, 3)
    files = {"forecaster": folder / "model", "serving": serving.write(folder / "serving.json", spec, ("rail",), None)}
    return Candidate(Path(daycast.steps.__path__[0], "served_model.py"), files, Example(inputs, 3, expected))


def test_runs_are_kept_by_a_server_as_they_are_embedded(
    server: Tracking, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tracking.open_run(server, "served", "key", "run", {"daycast.backtest": "p1"}, {"seed": 7})
    assert tracking.open_run(server, "served", "key", "run", {}, {"seed": 7}) == run
    child = tracking.child(server, run, "gru", "gru", {}, {})
    results = Results(
        {"hidden": 8}, {"mae": 1.0, "mase": float("nan")}, {"loss": [2.0, 1.0]}, {"mae": {1: 1.0}}, {"note.txt": "hi"}
    )
    assert tracking.record(server, child, results)
    assert not tracking.record(server, child, results)
    pd.DataFrame({"y": [1.0]}).to_parquet(tmp_path / "d.parquet")
    tracking.use_data(server, [run, child], "served", "0f" * 16, tmp_path / "d.parquet")
    tracking.close_run(server, child)
    tracking.close_run(server, run)
    found = tracking.latest(server, "served", {"daycast.backtest": "p1"})
    assert found is not None
    assert found.run_id == run
    (gru,) = tracking.children(server, run)
    assert (gru.status, gru.params, gru.metrics["loss"]) == ("FINISHED", {"hidden": "8"}, 1.0)
    assert tracking.text(server, child, "note.txt") == "hi"
    link = tracking.link(server, run)
    assert link is not None
    assert link.startswith(server.uri)
    assert link.endswith(run)
    assert capfd.readouterr().out == ""


def test_versions_are_kept_by_a_server_as_they_are_embedded(
    server: Tracking, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = candidate(tmp_path)
    run = tracking.open_run(server, "served", "registers", "run", {}, {})
    version = registry.register(server.uri, "daycast-served", run, "key", made, {"daycast.model": "seasonal_naive"})
    assert registry.register(server.uri, "daycast-served", run, "key", made, {}) == version
    registry.set_alias(server.uri, "daycast-served", "champion", version.number)
    loaded = registry.load(server.uri, "daycast-served", "champion", tmp_path / "fetched")
    assert loaded.folder.is_relative_to(tmp_path / "fetched")
    assert loaded.version.aliases == ("champion",)
    rows = loaded.model.predict(made.example.inputs, params={"horizon": 3})
    pd.testing.assert_frame_equal(rows, made.example.expected)
    assert registry.lost(server.uri, "daycast-served", version.number) is None
    (stored,) = tmp_path_factory.getbasetemp().glob("a server0/a/**/serving.json")
    stored.rename(tmp_path / "away")
    assert str(registry.lost(server.uri, "daycast-served", version.number)).endswith("no artifacts/serving.json")
    shutil.rmtree(stored.parents[1])
    assert str(registry.lost(server.uri, "daycast-served", version.number)).endswith("no MLmodel")


@pytest.mark.parametrize("kind", ["a server", "a store"])
def test_what_is_gone_is_told_from_what_does_not_answer(
    server: Tracking, store: Tracking, kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = server if kind == "a server" else store
    run = tracking.open_run(where, f"gone {kind}", "gone", "run", {}, {})
    tracking.put(where, run, {"report/one.json": "{}"})
    version = registry.register(where.uri, "daycast-gone", run, "key", candidate(tmp_path), {})
    (files,) = tmp_path_factory.getbasetemp().glob(f"{kind}0/**/{version_folder(where, version)}/artifacts")
    assert tracking.text(where, run, "report/one.json") == "{}"
    for path in ("report/two.json", "none/one.json", "three.json"):
        with pytest.raises(MissingError, match=path):
            tracking.text(where, run, path)
    with pytest.raises(MissingError, match="0" * 32):
        tracking.text(where, "0" * 32, "three.json")
    with pytest.raises(MissingError, match="version=99"):
        registry.load(where.uri, "daycast-gone", "99")
    for gone in (files, files.parent):
        shutil.rmtree(gone)
        for into in (None, tmp_path / "into"):
            with pytest.raises(MissingError, match=r"MLflow at .* answers, and there are none"):
                registry.load(where.uri, "daycast-gone", version.number, into)


def version_folder(where: Tracking, version: registry.Version) -> str:
    """Name of the folder that holds a version's files."""
    client = MlflowClient(where.uri, where.uri)
    return client.get_model_version_download_uri(version.name, version.number).split("/")[-2]


def test_artifacts_of_which_the_store_does_not_answer_are_not_taken_for_missing(
    store: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client, nobody = MlflowClient(store.uri, store.uri), "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts"
    run = client.create_run(client.create_experiment("elsewhere", nobody)).info.run_id
    with pytest.raises(ToolError) as error:
        tracking.text(store, run, "one.json")
    assert unanswered(error.value)
    client.create_registered_model("daycast-elsewhere")
    client.create_model_version("daycast-elsewhere", f"{nobody}/model")
    with pytest.raises(ToolError) as error:
        registry.load(store.uri, "daycast-elsewhere", "1")
    assert unanswered(error.value)


def test_a_server_that_is_down_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ToolError, match=r"MLflow at http://127\.0\.0\.1:1"):
        tracking.find(Tracking("http://127.0.0.1:1"), "run")
