"""How the forecasts in the store turned out, by the flow that runs every day."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flows.monitoring import monitoring
from tests.project import Project

from daycast.adapters import registry, store
from daycast.core.lineage import Lineage
from daycast.steps.data import frame
from daycast.steps.outcomes import MonitoredRef
from daycast.steps.register import DATA_UNTIL
from flows import running

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.usefixtures("project")]

CUTOFFS = pd.date_range("2019-06-01", periods=9)
UNTIL = date(2019, 6, 20)


def monitored(as_of: date | None = UNTIL) -> MonitoredRef:
    return running.start(monitoring, dataset="tiny", as_of=as_of, fetch=False)


@pytest.fixture
def forecasts(project: Project, request: pytest.FixtureRequest) -> Iterator[pd.DataFrame]:
    """Forecasts of ten days from nine days of June, each off by a share of what came; gone afterwards."""
    known = frame(project.settings, project.data).dropna(subset="y").set_index(["unique_id", "ds"])["y"]
    off = getattr(request, "param", 0.01)
    rows = [
        (name, cutoff, ds := cutoff + pd.Timedelta(days=step), step, known[name, ds] * (1 + off))
        for cutoff in CUTOFFS
        for name in ("bus", "rail")
        for step in range(1, 11)
    ]
    made = pd.DataFrame(rows, columns=["unique_id", "cutoff", "ds", "step", "y_hat"])
    lineage = Lineage(project.data.version, "commit", "config", "monitored")
    with store.opened(project.settings.store_url) as engine:
        store.write_forecasts(engine, "tiny", made, ("mine", "99"), lineage)
    yield made
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(store.tables.forecasts.delete().where(store.tables.forecasts.c.run_id == "monitored"))


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Inside the block, the store has no forecasts but those of ``forecasts``."""
    table = store.tables.forecasts
    with store.opened(project.settings.store_url) as engine:
        with engine.begin() as connection:
            connection.execute(table.update().where(table.c.run_id != "monitored").values(dataset="aside"))
        yield
        with engine.begin() as connection:
            connection.execute(table.update().where(table.c.dataset == "aside").values(dataset="tiny"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What a webhook on this machine is sent."""
    found: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", f"json://127.0.0.1:{server.server_port}/hook")
    yield found
    server.shutdown()
    server.server_close()


def test_good_forecasts_raise_no_alarm_and_their_errors_are_told(
    forecasts: pd.DataFrame, told: list[dict[str, str]]
) -> None:
    found = monitored()
    windows = pd.read_csv(found.windows, parse_dates=["cutoff"])
    own = windows[windows["cutoff"].isin(CUTOFFS)]
    assert own["n_rows"].sum() == len(forecasts)
    missed = (forecasts["y_hat"] - forecasts["y_hat"] / 1.01).groupby(forecasts["cutoff"]).mean()
    assert own["mae"].to_numpy() == pytest.approx(missed.to_numpy())
    assert found.skill is not None
    assert found.skill > 0
    assert not found.alarm
    assert told == []
    assert found.plot is not None
    assert Path(found.plot).stat().st_size > 5000


@pytest.mark.usefixtures("forecasts")
def test_only_days_that_had_come_by_the_day_are_judged() -> None:
    early = monitored(date(2019, 6, 5))
    windows = pd.read_csv(early.windows, parse_dates=["cutoff"])
    own = windows[windows["cutoff"].isin(CUTOFFS)]
    assert own["cutoff"].tolist() == CUTOFFS[:4].tolist()  # from the fifth day on nothing has come
    assert own["n_rows"].tolist() == [8, 6, 4, 2]  # of two series


def test_a_forecast_by_a_version_that_had_seen_its_days_is_not_judged(project: Project) -> None:
    made = project.forecast(as_of=date(2019, 3, 3), horizon=7)
    champion = registry.required(project.settings.tracking_uri, "daycast-tiny", "champion")
    assert made.served_by.version == champion.number
    assert champion.tags[DATA_UNTIL] > "2019-03-10"
    windows = pd.read_csv(monitored(None).windows, parse_dates=["cutoff"])
    assert pd.Timestamp(made.cutoff) not in set(windows["cutoff"])


@pytest.mark.parametrize("forecasts", [0.9], indirect=True)
def test_an_alarm_as_of_a_past_day_is_shown_and_told_to_nobody(
    forecasts: pd.DataFrame, told: list[dict[str, str]]
) -> None:
    assert np.isfinite(forecasts["y_hat"]).all()
    assert monitored().alarm
    assert told == []


@pytest.mark.parametrize("forecasts", [0.9], indirect=True)
def test_forecasts_that_stay_worse_than_the_season_raise_an_alarm_and_people_are_told(
    forecasts: pd.DataFrame, told: list[dict[str, str]], project: Project
) -> None:
    assert np.isfinite(forecasts["y_hat"]).all()
    with alone(project):
        found = monitored(None)
    assert found.alarm
    assert found.skill is not None
    assert found.skill < 0
    assert [notice["title"] for notice in told] == ["daycast: tiny is forecast badly"]
    assert found.reason in told[0]["message"]
    assert "run: daycast run dataset=tiny --fetch" in told[0]["message"]
