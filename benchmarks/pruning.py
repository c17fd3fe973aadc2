"""What pruning saves of a search, and what it costs: the same search with and without it, on Chicago's rail boardings.

A GRU one day ahead (backtest p1: two half-year folds in 2018), fitted from 2011 on, over a space wide enough that most
of it is bad. Work is counted in epochs. Then the trials of the search without pruning are put into 400 random orders,
and schemes replayed on them: rungs (epochs of the first fold; 15 is its end) and the share that goes on at each.

    python benchmarks/pruning.py --trials 24 --seeds 1     # in a project folder where dataset=cta was ingested
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from daycast import settings
from daycast.adapters import search
from daycast.adapters.search import TrialRecord
from daycast.adapters.search.studies import NEEDED
from daycast.config import Config, Recurrent, compose
from daycast.steps import data
from daycast.steps import search as steps
from daycast.steps.split import split

STANDARD, LAG7 = {"kind": "scale", "method": "standard"}, {"kind": "difference", "lags": [7]}
RECIPES = {
    "standard": [STANDARD],
    "log": [STANDARD | {"log1p": True}],
    "lag7": [LAG7, STANDARD],
    "log_lag7": [{"kind": "scale", "method": "none", "log1p": True}, LAG7, STANDARD],
}
SPACE = {
    "lookback": {"kind": "choice", "values": [7, 14, 28, 56]},
    "hidden": {"kind": "choice", "values": [16, 32, 48, 64]},
    "learning_rate": {"kind": "float", "low": 0.002, "high": 0.02, "log": True},
    "dropout": {"kind": "float", "low": 0.0, "high": 0.3},
    "layers": {"kind": "int", "low": 1, "high": 2},
    "transforms": {"kind": "variants", "values": {name: {"transforms": steps} for name, steps in RECIPES.items()}},
    "loss": {"kind": "choice", "values": ["huber", "mae"]},
    "schedule": {"kind": "choice", "values": ["cosine", "constant"]},
    "batch_size": {"kind": "choice", "values": [64, 128, 256]},
    "train_steps": {"kind": "choice", "values": [1096, 1826, None]},
}
SCHEMES = ([15], [5, 15], [5, 10, 15], [4, 8, 15], [3, 9, 15], [3, 6, 12, 15])
KEEP = (0.3, 0.4, 0.5)
ORDERS = 400


def configured(root: Path, pruner: str, trials: int) -> Config:
    chosen = ["dataset=cta", "backtest=p1", "backtest.start=2011-01-01", "model=[naive,gru]", "tuning=thorough"]
    config = compose(
        root, [*chosen, f"tuning.n_trials={trials}", "tuning.n_startup_trials=8", f"tuning.pruner={pruner}"]
    )
    told = json.loads(config.model["gru"].model_dump_json()) | {"search": SPACE}
    return config.model_copy(update={"model": {"gru": Recurrent.model_validate_json(json.dumps(told))}})


def searched(config: Config, seed: int, folder: Path) -> tuple[TrialRecord, ...]:
    """All trials of a search; networks start from the configuration's seed, so that only the sampler's differs."""
    here, model = settings.load(), config.model["gru"]
    version = data.in_force(here, "cta")
    scorer = steps.Scorer(here, config, version, split(here, config, version), "gru")
    if config.tuning.pruner == "none":
        # Each value as it is, at every rung of any scheme, to replay them.
        scorer.rungs = {rung for rungs in SCHEMES for rung in rungs if rung < scorer.epochs}
        scorer.so_far = lambda seen: seen[-1]
    assert isinstance(model, Recurrent)
    objective = search.Objective(
        scorer.trial, model.search, model.start(config.tuning.n_trials), steps=scorer.steps, refusals=steps.REFUSALS
    )
    study = f"{config.tuning.pruner}-{seed}"
    return search.search(f"sqlite:///{folder}/studies.db", study, objective, config.tuning, seed).trials


def replayed(
    trials: Sequence[TrialRecord], order: Sequence[int], rungs: Sequence[int], keep: float
) -> tuple[float, float, float]:
    """Share of the work done, the best value found, and the mean of the best three, by halving in an order."""
    seen: dict[int, list[float]] = {rung: [] for rung in rungs}
    total, work, found = max(trials[0].curve), 0, list[float]()
    for number in order:
        curve = trials[number].curve
        done = total
        for rung in rungs:
            value = curve[rung] if 2 * rung == total else min(curve[r] for r in rungs if r <= rung)
            better = sum(other < value for other in seen[rung])
            seen[rung].append(value)
            if len(seen[rung]) > NEEDED and better >= max(1, math.floor(keep * len(seen[rung]))):
                done = rung
                break
        work += done
        found += [curve[total]] if done == total else []
    return work / (total * len(order)), min(found), statistics.fmean(sorted(found)[:3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24, help="of each search (default 24)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the sampler (default 1)")
    parser.add_argument("--pruners", nargs="+", default=["none", "halving"], help="(default none halving)")
    parser.add_argument("--kept", type=Path, help="folder for the studies, to go on after a break (default: temporary)")
    args = parser.parse_args()

    root = settings.load().root
    whole: list[TrialRecord] = []
    print("seed  pruner   trials  pruned  epochs  of all   best MAE")
    with tempfile.TemporaryDirectory() as temporary:
        for seed in args.seeds:
            for pruner in args.pruners:
                folder = args.kept or Path(temporary)
                found = searched(configured(root, pruner, args.trials), seed, folder)
                whole += [t for t in found if pruner == "none" and t.state == "complete"]
                work = statistics.fmean(t.share for t in found)
                pruned = sum(t.state == "pruned" for t in found)
                best = min(t.value for t in found if t.value is not None)
                print(f"{seed:4d}  {pruner:8s} {len(found):5d} {pruned:7d} {30 * work * len(found):7.0f} "
                      f"{work:7.0%} {best:10,.0f}", flush=True)  # fmt: skip
    if not whole:
        return
    print(
        f"\nreplayed on {len(whole)} whole trials: rungs, share kept, work, winner kept, mean loss, that of the best 3"
    )
    draw = random.Random(0)
    orders = [draw.sample(range(len(whole)), len(whole)) for _ in range(ORDERS)]
    values = sorted(t.value for t in whole if t.value is not None)
    top = statistics.fmean(values[:3])
    for rungs in SCHEMES:
        for keep in KEEP:
            works, bests, threes = zip(*(replayed(whole, order, rungs, keep) for order in orders), strict=True)
            work, kept = statistics.fmean(works), statistics.fmean(best == values[0] for best in bests)
            loss, losses = statistics.fmean(bests) / values[0] - 1, statistics.fmean(threes) / top - 1
            print(f"{rungs!s:16s} {keep:5.2f} {work:6.0%} {kept:6.0%} {loss:7.2%} {losses:7.2%}")


if __name__ == "__main__":
    main()
