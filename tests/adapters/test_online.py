"""A registered version behind `mlflow models serve`, over HTTP: what it answers, and what it answers to nonsense."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from safetensors.numpy import load_file, save_file

from daycast.adapters import registry, tracking
from daycast.adapters.registry.package import read
from daycast.adapters.tracking import Tracking
from daycast.steps import serving
from tests.adapters.test_registry import CUTOFF, GRU, HORIZON, SPEC, candidate, canonical
from tests.golden import make

NAME = "daycast-online"
RELEASE = sorted(Path(make.__file__).parent.glob("[0-9]*"))[-1]
AT_ONCE = 200
Body = dict[str, Any]


@pytest.fixture(scope="module")
def version(store: Tracking, tmp_path_factory: pytest.TempPathFactory) -> registry.Loaded:
    """A network, champion of its registered model."""
    made = candidate(tmp_path_factory.mktemp("a network"), GRU, ("torch",))
    run = tracking.open_run(store, "registry", "online", "run", {}, {})
    number = registry.register(store.uri, NAME, run, "online", made, {"daycast.model": "gru"}).number
    registry.set_alias(store.uri, NAME, "champion", number)
    return registry.load(store.uri, NAME, "champion")


def serve(uri: str, model: str, log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The process of `mlflow models serve`, which answers, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    words = ["models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "OMP_NUM_THREADS": "1", "PATH": path},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    address, began = f"http://127.0.0.1:{port}", time.monotonic()
    while time.monotonic() - began < 240:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/ping").status_code == 200:
                return process, address
        except httpx.TransportError:
            time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def server(store: Tracking, version: registry.Loaded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the champion's server."""
    process, address = serve(
        store.uri, f"models:/{version.version.name}@champion", tmp_path_factory.mktemp("served") / "log"
    )
    yield address
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(60)


def frame(scale: float = 1.0, horizon: int = HORIZON) -> pd.DataFrame:
    made = serving.inputs(canonical(), SPEC, CUTOFF, horizon)
    return made.assign(y=made["y"] * scale)


def body(table: pd.DataFrame, horizon: int = HORIZON, form: str = "split") -> Body:
    """A request, as JSON."""
    told = json.loads(table.to_json(orient=form, date_format="iso", index=False if form == "split" else None))
    return {f"dataframe_{form}": told, "params": {"horizon": horizon}}


def ask(server: str, request: Body, timeout: float = 60.0) -> httpx.Response:
    return httpx.post(f"{server}/invocations", json=request, timeout=timeout)


def strictly(text: str) -> Any:
    """JSON as the standard has it, without NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def rows(answer: httpx.Response) -> pd.DataFrame:
    assert answer.status_code == 200, answer.text
    made = pd.DataFrame(strictly(answer.text)["predictions"])
    return made.assign(ds=pd.to_datetime(made["ds"]), cutoff=pd.to_datetime(made["cutoff"]))


@pytest.mark.parametrize("form", ["split", "records"])
def test_history_and_the_known_future_go_in_and_a_forecast_with_quantiles_comes_out(
    server: str, version: registry.Loaded, form: str
) -> None:
    made = rows(ask(server, body(frame(), form=form)))
    expected = version.model.predict(frame(), params={"horizon": HORIZON})
    assert [*made.columns] == ["unique_id", "cutoff", "ds", "step", "y_hat", "q0.1", "q0.5", "q0.9"]
    assert made["unique_id"].tolist() == ["bus"] * 3 + ["rail"] * 3
    assert made["ds"].tolist() == list(pd.date_range(CUTOFF + pd.Timedelta(days=1), periods=3)) * 2
    numbers = ["y_hat", "q0.1", "q0.5", "q0.9"]
    np.testing.assert_allclose(made[numbers], expected[numbers], rtol=registry.TOLERANCE)


def test_a_horizon_is_the_one_of_the_version_unless_given_and_beyond_it_there_is_no_band_but_json(server: str) -> None:
    asked = body(frame())
    del asked["params"]
    assert rows(ask(server, asked))["step"].max() == HORIZON
    assert rows(ask(server, body(frame(), 1)))["step"].max() == 1
    longer = rows(ask(server, body(frame(horizon=5), 5)))
    assert longer.loc[longer["step"] > HORIZON, ["q0.1", "q0.9"]].isna().all(axis=None)
    assert longer["y_hat"].notna().all()


def edited(change: Callable[[Body], object], form: str = "records") -> Body:
    made = body(frame(), form=form)
    change(made)
    return made


def each(column: str, value: object) -> Callable[[Body], object]:
    return lambda b: [r.update({column: value}) for r in b["dataframe_records"]]


def one(column: str, value: object, at: int = -1) -> Callable[[Body], object]:
    return lambda b: b["dataframe_records"][at].update({column: value})


MISTAKES: dict[str, tuple[Callable[[Body], object], str]] = {
    "a missing column": (lambda b: [r.pop("holiday") for r in b["dataframe_records"]], "holiday"),
    "a row twice": (lambda b: b["dataframe_records"].append(b["dataframe_records"][3]), "two of bus at 2020-01-04"),
    "a time off the grid": (one("ds", "2020-01-04T05:00:00.000", 3), "2020-01-04 05:00:00"),
    "every time off the grid": (
        lambda b: [r.update(ds=r["ds"].replace("T00", "T03")) for r in b["dataframe_records"]],
        "2020-01-01 03:00:00",
    ),
    "a day without rows": (
        lambda b: b.update(dataframe_records=[r for r in b["dataframe_records"] if "01-15" not in r["ds"]]),
        "none of 2020-01-15 00:00:00",
    ),
    "a stray date": (one("ds", "2025-01-04T00:00:00.000"), "is followed by 2025-01-04 00:00:00"),
    "a date that no calendar reaches": (one("ds", "1700-01-04T00:00:00.000"), "1700-01-04"),
    "a time with a zone": (each("ds", "2020-01-04T00:00:00+02:00"), "ds"),
    "a time that is none": (one("ds", "the day after", 3), "ds"),
    "an unknown series": (lambda b: [r.update(unique_id="tram") for r in b["dataframe_records"][:3]], "tram"),
    "too little history": (
        lambda b: b.update(dataframe_records=[r for r in b["dataframe_records"] if r["ds"] > "2020-04-20"]),
        "give more history",
    ),
    "a horizon too long": (lambda b: b["params"].update(horizon=9), "horizon 9 with 3 timestamps"),
    "a horizon of nothing": (lambda b: b["params"].update(horizon=0), "horizon 0"),
    "a horizon in words": (lambda b: b["params"].update(horizon="a week"), "horizon"),
    "a horizon of null": (lambda b: b["params"].update(horizon=None), "a horizon of at least 1"),
    "a covariate without value": (one("holiday", None), "holiday"),
    "a covariate that differs between series": (one("day_of_week", "Someday"), "Someday"),
    "an unknown level": (each("day_of_week", "Someday"), "Someday"),
    "text in y": (one("y", "many", 3), "y"),
    "a list as a name": (one("unique_id", ["bus"]), "unique_id"),
    "values beyond all measure": (each("holiday", 1e300), "`holiday` reaches 1e+300, of the example 0"),
    "values whose forecast is not finite": (
        lambda b: [r.update(y=1.7e308) for r in b["dataframe_records"] if r["y"] is not None],
        "found:    ",
    ),
    "nothing observed": (each("y", None), "at least one observed value"),
    "no rows": (lambda b: b.update(dataframe_records=[]), ""),
    "columns without rows": (
        lambda b: b.update(dataframe_split={"columns": list(b.pop("dataframe_records")[0]), "data": []}),
        "rows of the history",
    ),
    "no frame": (lambda b: b.pop("dataframe_records"), "dataframe_records"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_request_that_can_not_be_answered_is_refused_with_the_reason(server: str, mistake: str) -> None:
    change, told = MISTAKES[mistake]
    answer = ask(server, edited(change))
    assert answer.status_code == 400, answer.text
    assert told in answer.text


def test_what_mlflow_drops_or_turns_into_numbers_before_the_model_is_asked_is_answered(server: str) -> None:
    misspelt = ask(server, {**body(frame()), "params": {"horison": 1}})
    assert rows(misspelt)["step"].max() == HORIZON
    known = frame()
    as_flags = body(known, form="records")
    for row in as_flags["dataframe_records"]:
        row["y"] = None if row["y"] is None else True
    ones = rows(ask(server, body(known.assign(y=known["y"].where(known["y"].isna(), 1.0)))))
    pd.testing.assert_frame_equal(rows(ask(server, as_flags)), ones)
    parquet = known.assign(y=known["y"].notna()).to_parquet()
    kind = {"Content-Type": "application/vnd.apache.parquet"}
    assert httpx.post(f"{server}/invocations", content=parquet, headers=kind, timeout=60).status_code == 400


def test_parquet_is_taken_and_csv_is_not(server: str, version: registry.Loaded) -> None:
    def send(content: bytes, kind: str) -> httpx.Response:
        return httpx.post(f"{server}/invocations", content=content, headers={"Content-Type": kind}, timeout=60)

    made = rows(send(frame().to_parquet(), "application/vnd.apache.parquet"))
    expected = version.model.predict(frame(), params={"horizon": HORIZON})
    np.testing.assert_allclose(made["y_hat"], expected["y_hat"], rtol=registry.TOLERANCE)
    refused = send(frame().to_csv(index=False).encode(), "text/csv")
    assert (refused.status_code, "not supported for parsing" in refused.text) == (400, True)
    assert send(b"bus", "text/plain").status_code == 415


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff"], ids=["empty", "broken", "list", "null", "bytes"]
)
def test_what_is_no_json_object_is_refused(server: str, content: bytes) -> None:
    answer = httpx.post(f"{server}/invocations", content=content, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text


def test_two_hundred_at_once_get_each_their_own_answer(server: str, version: registry.Loaded) -> None:
    scales = 1.0 + np.arange(AT_ONCE) / AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda s: ask(server, body(frame(s)), timeout=280), scales))
    assert {a.status_code for a in answers} == {200}
    made = [rows(a)["y_hat"].to_numpy() for a in answers]
    expected = [version.model.predict(frame(s), params={"horizon": HORIZON})["y_hat"].to_numpy() for s in scales]
    np.testing.assert_allclose(made, expected, rtol=registry.TOLERANCE)
    assert len({tuple(m) for m in made}) == AT_ONCE  # no two alike, so none can have been another's
    assert rows(ask(server, body(frame())))["step"].max() == HORIZON  # and it goes on


def test_a_fault_of_the_model_is_no_fault_of_the_request(
    store: Tracking, version: registry.Loaded, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    registry.load(store.uri, version.version.name, "champion", broken)
    (file,) = broken.rglob("weights.safetensors")
    save_file({name: np.full_like(array, np.nan) for name, array in load_file(file).items()}, file)
    (model,) = broken.rglob("MLmodel")
    process, address = serve(store.uri, str(model.parent), tmp_path / "log")
    try:
        answer = ask(address, body(frame()))
        refused = ask(address, edited(MISTAKES["a horizon too long"][0]))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
    assert answer.status_code == 500
    assert "OutputError" in answer.text
    assert refused.status_code == 400


def golden(name: str) -> tuple[Any, pd.DataFrame]:
    """A tiny version of a family, loaded, and the input that it was registered with."""
    folder = RELEASE / name
    return read(folder), registry.stored(folder).inputs


def test_a_value_that_the_model_s_transform_can_not_take_is_the_request_s_fault() -> None:
    model, table = golden("lightgbm")
    table.loc[table.index[3], "y"] = -5.0
    with pytest.raises(MlflowException, match=r"values of at least 0 .*\nfound: +1 below 0, the least -5") as refused:
        model.predict(table, params={"horizon": 3})
    assert refused.value.get_http_status_code() == 400
    assert "configuration" not in refused.value.message


@pytest.mark.parametrize(
    ("name", "least"),
    [("lightgbm", 1), ("linear", 1), ("seasonal_naive", 1), ("auto_ets", 21), ("sarima", 21), ("gru_profile", 14)],
)
def test_how_much_history_a_request_needs_depends_on_the_family(name: str, least: int) -> None:
    model, table = golden(name)
    end = table.loc[table["y"].notna(), "ds"].max()
    enough = table[table["ds"] > end - pd.Timedelta(days=least)]
    assert np.isfinite(model.predict(enough, params={"horizon": 3})["y_hat"]).all()
    if least > 1:
        with pytest.raises(MlflowException, match=f"at least {least} timestamps") as refused:
            model.predict(enough[enough["ds"] > enough["ds"].min()], params={"horizon": 3})
        assert refused.value.get_http_status_code() == 400
