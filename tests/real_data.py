"""The main job on Chicago's real ridership file, as a user runs it; the figures it must give are checked.

    .venv/bin/python tests/real_data.py [FILE]

It works in the project folder that it lies in and leaves the results there. Without the file it says so and succeeds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("DAYCAST_REAL_DATA") or ROOT.parent / "shared" / "data")
FILE = FOLDER / "CTA_-_Ridership_-_Daily_Boarding_Totals.csv"

DUPLICATES, DAYS = 62, 7639
SEASONAL_NAIVE, SEASONAL_NAIVE_364 = 41_274, 25_705  # rail MAE under P1, rides per day, to the ride
RECURRENT_AT_MOST = 23_500  # the published best is 22,062, chosen on the reported window itself

# Nothing may be fetched: whatever tries ends at a closed port.
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost"}


def daycast(*words: str) -> dict:
    """Run a command with ``--json`` and return what it says."""
    print(f"$ daycast {' '.join(words)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "daycast", *words, "--json"],
        cwd=ROOT,
        env=os.environ | OFFLINE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def expect(what: str, found: object, wanted: object, holds: bool) -> None:
    """Print a figure beside what it must be; end if it is not."""
    print(f"  {'ok ' if holds else 'BAD'} {what}: {found} (must be {wanted})", flush=True)
    if not holds:
        sys.exit(f"real-data check failed: {what}")


def main() -> None:
    """Ingest, validate, run, forecast; check."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    if not file.is_file():
        print(f"skipped: {file} is not there (set DAYCAST_REAL_DATA to its folder)")
        return
    daycast("ingest", "dataset=cta", "--from", str(file))
    report = daycast("validate", "dataset=cta")["report"]
    expect("exact duplicate rows", report["exact_duplicates"], DUPLICATES, report["exact_duplicates"] == DUPLICATES)
    expect("days", report["timestamps"], DAYS, report["timestamps"] == DAYS)

    outcome = daycast("run", "dataset=cta", "backtest=p1", "tuning=quick")
    board = {line["model"]: line for line in outcome["leaderboard"]}
    for name, wanted in (("seasonal_naive", SEASONAL_NAIVE), ("seasonal_naive_364", SEASONAL_NAIVE_364)):
        expect(f"rail MAE of {name}", round(board[name]["mae"]), wanted, round(board[name]["mae"]) == wanted)
    gru = board["gru"]["mae"]
    expect("rail MAE of the tuned GRU", round(gru), f"at most {RECURRENT_AT_MOST}", gru <= RECURRENT_AT_MOST)
    rows = {line["n_rows"] for line in board.values()}
    expect("rows scored, of every model", sorted(rows), [95], rows == {95})
    expect("models compared", sorted(board), "SARIMA, naives, GRU", {"sarima", "naive", "gru"} <= set(board))

    made = daycast("forecast", "dataset=cta", "--horizon", "14")
    days = sorted({line["ds"][:10] for line in made["forecast"]})
    expect("days forecast", f"{days[0]} .. {days[-1]}", "2021-12-01 .. 2021-12-14",
           len(days) == 14 and days[0] == "2021-12-01" and days[-1] == "2021-12-14")  # fmt: skip
    by = made["served_by"]
    expect("who forecasts", by["model"], outcome["champion"]["model"], by["model"] == outcome["champion"]["model"])
    print(f"champion: {by['model']}, version {by['version']} of {by['name']}")


if __name__ == "__main__":
    main()
