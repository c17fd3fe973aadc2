"""What a user finds in the MLflow UI after a run: a real server, a real browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.project import Project

from daycast.steps.reference import Outcome

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
pytestmark = pytest.mark.xdist_group("flows")


@pytest.fixture(scope="module")
def address(trained: tuple[Project, Outcome]) -> Iterator[str]:
    """MLflow's UI on the project's runs, as ``daycast ui`` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = trained[0].settings.root
    environment = os.environ | {"DAYCAST_ROOT": str(root)}
    command = [sys.executable, "-m", "daycast", "ui", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{url}/health"):
                    break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, "daycast ui ended"
                time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    with pytest.raises(OSError, match="refused"):  # nothing is left behind the port
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def keep(page: Any, name: str) -> None:
    """Save what is seen where ``DAYCAST_SCREENSHOTS`` names a folder."""
    if os.environ.get("DAYCAST_SCREENSHOTS"):
        page.screenshot(path=Path(os.environ["DAYCAST_SCREENSHOTS"]) / f"{name}.png")


def experiment(project: Project, run_id: str) -> str:
    from mlflow import MlflowClient

    return str(MlflowClient(project.settings.tracking_uri).get_run(run_id).info.experiment_id)


def test_the_runs_stand_in_the_experiment(page: Any, address: str, trained: tuple[Project, Outcome]) -> None:
    project, outcome = trained
    page.goto(f"{address}/#/experiments/{experiment(project, outcome.run.run_id)}/runs")
    page.get_by_text("tiny-tiny-", exact=False).first.wait_for()
    keep(page, "runs")


def test_a_run_shows_its_figures_and_its_leaderboard(page: Any, address: str, trained: tuple[Project, Outcome]) -> None:
    project, outcome = trained
    run = f"{address}/#/experiments/{experiment(project, outcome.run.run_id)}/runs/{outcome.run.run_id}"
    page.goto(run)
    page.get_by_text("mase", exact=True).first.wait_for()
    keep(page, "run")
    page.goto(f"{run}/artifacts/leaderboard.json")
    page.get_by_text("day_type_naive").first.wait_for()
    keep(page, "leaderboard")
    page.goto(f"{run}/artifacts/plots/leaderboard.png")
    page.locator("img").last.wait_for()
    keep(page, "plot")


def test_the_registered_model_shows_its_champion(page: Any, address: str, trained: tuple[Project, Outcome]) -> None:
    assert trained[1].champion is not None
    page.goto(f"{address}/#/models/{trained[1].champion.name}")
    page.get_by_text("champion", exact=False).first.wait_for()
    page.get_by_text("challenger", exact=False).first.wait_for()
    keep(page, "model")
