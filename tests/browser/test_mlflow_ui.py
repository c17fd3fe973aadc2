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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.project import MODELS, Project, environment

from daycast.adapters import tracking
from daycast.errors import PromotionError
from daycast.steps import promote
from daycast.steps.outcomes import Outcome

CHROMIUM = "/usr/bin/chromium"
# Nothing is fetched: the UI and all that it shows are on this machine.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
ASSISTANT = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"  # else a chat lies over the page at the first visit
pytestmark = pytest.mark.xdist_group("flows")


@dataclass
class Ui:
    """A page on the project's runs.

    Attributes:
        at: where the run's experiment is in it.
        seen: addresses outside this machine that the page asked for.
    """

    page: Any
    root: str
    at: str
    seen: list[str]

    def go(self, path: str) -> None:
        """Open a page below the UI's root."""
        self.page.goto("about:blank")  # a change of the fragment alone would load nothing
        self.page.goto(f"{self.root}/#{path}")

    def keep(self, name: str) -> None:
        """Save what is seen where ``DAYCAST_SCREENSHOTS`` names a folder."""
        if os.environ.get("DAYCAST_SCREENSHOTS"):
            self.page.screenshot(path=Path(os.environ["DAYCAST_SCREENSHOTS"]) / f"{name}.png")


@pytest.fixture(scope="module")
def address(trained: tuple[Project, Outcome]) -> Iterator[str]:
    """MLflow's UI on the project's runs, as ``daycast ui`` serves it."""
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed: `apt-get install chromium`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = trained[0].settings.root
    environment = os.environ | {"DAYCAST_ROOT": str(root)}
    command = [sys.executable, "-m", "daycast", "ui", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
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
def ui(address: str, trained: tuple[Project, Outcome]) -> Iterator[Ui]:
    """An open browser."""
    from mlflow import MlflowClient
    from playwright.sync_api import sync_playwright

    project, outcome = trained
    uri = project.settings.tracking_uri
    at = MlflowClient(uri, uri).get_run(outcome.run.run_id).info.experiment_id
    seen: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        page.add_init_script(f"localStorage.setItem('{ASSISTANT}', 'true')")
        page.on("request", lambda r: seen.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None)
        yield Ui(page, address, f"/experiments/{at}", seen)
        browser.close()


def name_of(project: Project, outcome: Outcome) -> str:
    """Name of the run."""
    return tracking.find(project.tracking, outcome.run.run_id).name


def test_the_experiment_lists_the_runs_by_name_with_models_inside(ui: Ui, trained: tuple[Project, Outcome]) -> None:
    ui.go(f"{ui.at}/runs")
    row = ui.page.get_by_role("link", name=name_of(*trained), exact=True)
    row.first.wait_for()
    ui.keep("runs")
    ui.page.get_by_role("gridcell").filter(has=row).last.get_by_role("button").click()
    for model in MODELS:
        ui.page.get_by_role("link", name=model, exact=True).first.wait_for()
    ui.keep("runs_open")


def test_a_run_shows_its_figures_and_its_leaderboard(ui: Ui, trained: tuple[Project, Outcome]) -> None:
    run = f"{ui.at}/runs/{trained[1].run.run_id}"
    ui.go(run)
    ui.page.get_by_text("mase", exact=True).first.wait_for()
    ui.keep("run")
    ui.go(f"{run}/artifacts/leaderboard.json")
    ui.page.get_by_text("day_type_naive").first.wait_for()
    ui.keep("leaderboard")
    ui.go(f"{run}/artifacts/plots/leaderboard.png")
    picture = ui.page.get_by_alt_text("plots/leaderboard.png")
    picture.wait_for()
    assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 400
    ui.keep("plot")


def test_the_registered_model_shows_its_champion(ui: Ui, trained: tuple[Project, Outcome]) -> None:
    assert trained[1].champion is not None
    ui.go(f"/models/{trained[1].champion.name}")
    for alias in ("champion", "challenger"):
        ui.page.get_by_text(alias, exact=False).first.wait_for()
    ui.keep("model")
    assert ui.seen == [], "pages of the UI that daycast opens ask for nothing outside this machine"


def test_a_version_shows_its_alias_its_card_and_what_the_gate_said(ui: Ui, trained: tuple[Project, Outcome]) -> None:
    champion, run_id = trained[1].champion, trained[1].run.run_id
    assert champion is not None
    ui.go(f"/models/{champion.name}/versions/{champion.version}")
    ui.page.get_by_text("champion").first.wait_for()
    for heading in ("In force", "The gate", "Scores", "Weak spots", "Reproduce"):
        ui.page.get_by_role("heading", name=heading, exact=True).first.wait_for()
    checks = ui.page.get_by_role("table").filter(has_text="not rolled back before")
    checks.get_by_role("cell", name="passed", exact=True).first.wait_for()
    ui.page.get_by_role("table").filter(has_text="seasonal_naive").first.wait_for()
    ui.keep("version")
    ui.go(f"{ui.at}/runs/{run_id}")
    ui.page.get_by_text(f"Passed: version {champion.version}").first.wait_for()
    ui.keep("run_gate")


def test_a_refused_version_and_its_run_say_what_it_failed_and_the_champion_stays(
    ui: Ui, trained: tuple[Project, Outcome]
) -> None:
    project, outcome = trained
    assert outcome.champion is not None
    with environment(project.settings):
        run_id = project.train("model=[naive,sarima]", "promotion.margin=0", "promotion.significance=null").run.run_id
    version = promote.decided(project.settings, run_id)[1]["sarima"]
    promote.override(project.settings, project.config().dataset, outcome.champion.version, "as it was before")
    gate = project.config("promotion=living").promotion
    assert gate.champion is not None
    strict = gate.model_copy(update={"champion": gate.champion.model_copy(update={"megabytes": 1e-6})})
    with pytest.raises(PromotionError, match="size: "):
        promote.promote(project.settings, "tiny", run_id, strict)
    ui.go(f"/models/{version.name}/versions/{version.version}")
    checks = ui.page.get_by_role("table").filter(has_text="not rolled back before")
    checks.get_by_role("row").filter(has_text="size").get_by_text("failed").first.wait_for()
    ui.page.get_by_text(f"Refused: version {version.version} (sarima), beside version").first.wait_for()
    ui.keep("version_refused")
    ui.go(f"{ui.at}/runs/{run_id}")
    ui.page.get_by_text(f"Refused: version {version.version}").first.wait_for()
    ui.keep("run_refused")
    ui.go(f"/models/{version.name}/versions/{outcome.champion.version}")
    ui.page.get_by_text("champion").first.wait_for()
