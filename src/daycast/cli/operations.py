"""Commands that keep daycast running unattended: servers, deployments, what goes on."""

from __future__ import annotations

import os
import signal
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from daycast.cli.options import AsJson, Debug, Overrides, Quiet, ready, scheduled
from daycast.errors import ToolError

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="This port and no other; by default a free one.")]
BETWEEN_S = 2.0


def up(
    overrides: Overrides = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once all is healthy.")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Work for the pool gpu too: this machine has one.")] = False,
    mlflow_port: Port = None,
    prefect_port: Port = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Keep MLflow, Prefect and a worker running here, with all schedules of a dataset, until Ctrl-C.

    State stays in one folder, addresses on this machine. Where it runs already, this shows it. `MLFLOW_TRACKING_URI`
    and `PREFECT_API_URL` name servers that others run; only what is missing is started. Overrides are those of the
    scheduled training, until the next `up` or `deploy`.

    Examples:

        daycast up

        daycast up dataset=cta backtest=living promotion=living --detach
    """
    here, configured, training = scheduled(overrides, debug)
    from daycast.cli import console, interrupt, overview
    from flows import programs, servers

    started = False
    with _ended_by_signals():
        try:
            with console.progress(quiet):
                started = servers.up(
                    here, configured.dataset, programs.Wanted(mlflow_port, prefect_port, gpu, training)
                )
            found = servers.overview(here)
            if as_json:
                console.machine({"started": started, "servers": found})
            if not started and not as_json:
                console.line("this was running already; Ctrl-C ends this view, `daycast down` what it shows")
            if detach:
                if not as_json:
                    overview.show_servers(found)
                return
            overview.watch(here, BETWEEN_S, live=not as_json)
            if left := servers.clear(here):
                raise ToolError(
                    "servers that run until they are told to end",
                    f"their supervisor has died; the {left} processes that it left were ended",
                    f"see {servers.folder(here) / 'supervisord.log'}, and `daycast up` again",
                )
        except KeyboardInterrupt:
            if not started:  # it came while they were being started, which has ended them, or they are another's
                raise typer.Exit(interrupt.EXIT_CODE) from None
            with console.working("stop", "all servers", quiet):
                servers.down(here)


def down(as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """End what `daycast up` started, its runs too; what they were at is finished by the next ones.

    Example:

        daycast down
    """
    here, _ = ready(None, debug)
    from daycast.cli import console
    from flows import servers

    with console.working("stop", "all servers", quiet):
        ended = servers.down(here)
    if as_json:
        console.machine({"ended": ended})
    else:
        console.line(f"ended {ended} processes" if ended else "nothing was running")


def status(as_json: AsJson = False, debug: Debug = False) -> None:
    """What runs, what is scheduled next, what failed last and why, what is stuck.

    Example:

        daycast status --json
    """
    here, _ = ready(None, debug)
    from daycast.cli import console, overview
    from flows import servers

    found, left = servers.overview(here), servers.left_over(here)
    try:
        prefect, error = _prefect(), None
    except ToolError as refused:
        prefect, error = None, refused
    if as_json:
        told = {"servers": found, "left_over": left, "prefect": prefect}
        console.machine(told | {"error": None if error is None else error.found})
    else:
        overview.show_servers(found)
        if left:
            console.line(f"{left} processes whose supervisor died still run: `daycast down` ends them")
        overview.show_prefect(prefect)
    if error is not None:
        raise error


def deploy(overrides: Overrides = None, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Deploy a dataset's flows with their schedules to the Prefect server in use, with pools and automations.

    Doing it again brings them up to date. `daycast up` does it for its dataset. Overrides are those of the scheduled
    training: give it what `daycast monitor --replay` was given, and it is what was replayed.

    Examples:

        daycast deploy dataset=cta

        daycast deploy dataset=cta backtest=living promotion=living tuning=none
    """
    here, configured, training = scheduled(overrides, debug)
    from daycast.cli import console
    from flows import deploying

    with console.working("deploy", configured.dataset.name, quiet):
        names = deploying.deploy(here, configured.dataset, training=training)
    console.machine({"deployments": names}) if as_json else console.line("\n".join(names))


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where no server runs yet: MLflow's port.")] = 5000,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the pages, or print them only.")] = True,
    debug: Debug = False,
) -> None:
    """Open the pages of MLflow and Prefect; where no server runs, serve MLflow's until Ctrl-C.

    Example:

        daycast ui --port 5001
    """
    here, _ = ready(None, debug)
    from daycast.adapters import supervision, tracking
    from daycast.cli import console
    from daycast.steps.record import tracker
    from flows import servers

    pages = [(s.name, s.url) for s in servers.overview(here) if not s.name.startswith("worker")]
    for name, url in pages:
        console.line(f"{name}: {url}")
        if browser:
            webbrowser.open(url)
    if not any(name == "mlflow" for name, _ in pages):
        supervision.free_port(port, exactly=True)
        console.line(f"mlflow: http://127.0.0.1:{port}  (Ctrl-C ends it)")
        tracking.serve_ui(tracker(here), port)


def _prefect() -> Any:
    """What Prefect has to say, or ``None`` without a server."""
    from flows import overview

    return overview.overview() if os.environ.get("PREFECT_API_URL") else None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Inside the block, Ctrl-C, a request to end, and a closed terminal all end it by ``KeyboardInterrupt``, once.

    What comes after the first is heard no more: all is being ended, which takes longer than an impatient finger.
    """

    def end(_number: int, _frame: Any) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
