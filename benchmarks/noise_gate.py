"""How often the gate promotes something over the mean of white noise, by its margin alone and with significance.

The control of ``daycast reproduce`` on other draws: 100 integers from 0 to 9 each, 25 forecast one step ahead, one
network beside the last value, AutoETS and AutoARIMA. Nothing can be learned, so whatever is promoted is a mistake.

    python benchmarks/noise_gate.py --draws 200

Found on seeds 1 to 200 (a margin of 2 %, the level shared by the four that compete):

    promoted by the margin alone    35 of 200  (17.5 %)
    with significance 0.1            3 of 200  ( 1.5 %)
    with significance 0.05           1 of 200  ( 0.5 %: AutoARIMA, 4.3 % better than the mean)
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from daycast.config import compose
from daycast.config.reproduce import ControlRow, publication
from daycast.core.verdict import Gate
from daycast.settings import Settings
from daycast.steps.control import control

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, meaning in (
        ("draws", 40, "series of noise"),
        ("margin", 0.02, "relative improvement required"),
        ("significance", 0.1, "chance at most that noise wins"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{meaning} (default {default})")
    args = parser.parse_args()
    row, trainer = publication(ROOT).rows["noise_control"], compose(ROOT).trainer
    assert isinstance(row, ControlRow)
    by_margin = surely = 0
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(ROOT, Path(folder), "", "", "")
        for seed in range(1, args.draws + 1):
            drawn = row.model_copy(update={"seed": seed})
            found = control(settings, "noise", drawn, [7], Gate(args.margin, args.significance), trainer)
            by_margin += any(check["passed"] for check in found.decision.checks[::2])
            surely += not found.passed
            print(f"{seed}: {found.decision.reasons[-1]}")
    print(f"promoted by the margin alone {by_margin} of {args.draws}, with significance {surely} of {args.draws}")


if __name__ == "__main__":
    main()
