"""Content keys: they change with all that a result depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from daycast.config import Config, compose
from daycast.steps import keys
from daycast.steps.reference import DataRef, RunRef

STEPS = ("transform", "window", "tune", "fit", "backtest")
MODELS = "model=[seasonal_naive,sarima,gru]"
DATA = DataRef(dataset="sample", version="0" * 32, pointers={})


def every(config: Config, data: DataRef = DATA) -> dict[tuple[str, str], str]:
    """(step, model) -> key."""
    return {(step, name): getattr(keys, step)(config, data, name) for step in STEPS for name in config.model}


def changed(root: Path, *overrides: str) -> set[tuple[str, str]]:
    """What gets another key by overrides."""
    before, after = (every(compose(root, [MODELS, *given])) for given in ((), overrides))
    return {of for of, key in before.items() if after[of] != key}


def all_of(*models: str, steps: tuple[str, ...] = STEPS) -> set[tuple[str, str]]:
    """Pairs of steps and models."""
    return {(step, name) for step in steps for name in models}


def test_equal_configuration_and_data_give_equal_keys(root: Path) -> None:
    assert changed(root) == set()


def test_every_step_and_model_has_a_key_of_its_own(root: Path) -> None:
    found = every(compose(root, [MODELS]))
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    ("override", "models", "steps"),
    [
        ("model.gru.hidden=32", ["gru"], STEPS),
        ("model.sarima.order=[2,0,1]", ["sarima"], STEPS),
        ("trainer.max_epochs=3", ["gru"], STEPS),
        ("seed=8", ["gru"], STEPS),
        ("tuning.n_trials=7", ["gru"], ("tune", "fit", "backtest")),
        ("tuning.seeds=2", ["gru"], ("tune", "fit", "backtest")),  # but no trial: see test_training
        ("tuning.keep=0.3", ["gru"], ("tune", "fit", "backtest")),  # SARIMA is not searched with so few trials
        ("tuning.n_trials=20", ["gru", "sarima"], ("tune", "fit", "backtest")),
        ("backtest.metric=mae", ["gru", "sarima", "seasonal_naive"], ("tune", "fit", "backtest")),
        ("backtest.horizon=7", ["gru", "sarima", "seasonal_naive"], STEPS),
        ("backtest.fold_targets=91", ["gru", "sarima", "seasonal_naive"], STEPS),
        ("backtest.intervals.rate=0.01", ["gru", "sarima", "seasonal_naive"], ("backtest",)),
        ("backtest.intervals.method=split", ["gru", "sarima", "seasonal_naive"], ("backtest",)),
        ("promotion.margin=0.5", [], ()),
        ("promotion.significance=null", [], ()),
        ("runner.workers=1", [], ()),
        ("tuning.name=other", [], ()),
    ],
)
def test_an_override_changes_the_keys_of_what_depends_on_it_alone(
    root: Path, override: str, models: list[str], steps: tuple[str, ...]
) -> None:
    assert changed(root, override) == all_of(*models, steps=steps)


def test_a_search_hangs_on_the_seed_whatever_it_searches(root: Path) -> None:
    few, many = (compose(root, [MODELS, f"tuning.n_trials={n}"]) for n in (6, 20))
    for config, searched in ((few, False), (many, True)):
        other = config.model_copy(update={"seed": config.seed + 1})
        assert (keys.tune(config, DATA, "sarima") != keys.tune(other, DATA, "sarima")) == searched


@pytest.mark.parametrize("override", ["backtest.intervals.rate=0.5", "backtest.intervals.window=99"])
def test_what_only_adaptive_intervals_follow_changes_no_key_of_split_ones(root: Path, override: str) -> None:
    split = "backtest.intervals.method=split"
    assert every(compose(root, [MODELS, split])) == every(compose(root, [MODELS, split, override]))


@pytest.mark.parametrize(
    ("override", "steps"),
    [
        ("backtest.intervals.source=point", ("backtest",)),
        ("backtest.intervals.levels=[0.1,0.25,0.5,0.75,0.9]", ("tune", "fit", "backtest")),
        ("backtest.intervals.scale=relative", ()),
        ("backtest.intervals.method=split", ("backtest",)),
        ("backtest.intervals.rate=0.01", ("backtest",)),
    ],
)
def test_what_is_asked_of_intervals_changes_the_keys_of_a_head_where_its_rows_or_its_bands_depend_on_it(
    root: Path, override: str, steps: tuple[str, ...]
) -> None:
    chosen = "model=[seasonal_naive,gru_quantiles]"
    before, after = (every(compose(root, [chosen, *given])) for given in ((), (override,)))
    differ = {step for (step, name), key in before.items() if after[step, name] != key and name == "gru_quantiles"}
    assert differ == set(steps)


def test_where_bands_come_from_is_nothing_to_a_model_that_has_learned_no_quantiles(root: Path) -> None:
    assert changed(root, "backtest.intervals.source=point") == set()


def test_another_data_version_changes_every_key(root: Path) -> None:
    config = compose(root, [MODELS])
    before, after = every(config), every(config, DATA.model_copy(update={"version": "1" * 32}))
    assert not set(before.values()) & set(after.values())
    assert keys.compare(config, DATA) != keys.compare(config, DATA.model_copy(update={"version": "1" * 32}))


@pytest.mark.parametrize(
    "changes", [{"season_length": 14}, {"floor": None}, {"freq": "B"}], ids=lambda changes: next(iter(changes))
)
def test_what_the_columns_mean_is_part_of_every_key_though_it_leaves_the_bytes_as_they_are(
    root: Path, changes: dict[str, object]
) -> None:
    config = compose(root, [MODELS])
    other = config.model_copy(update={"dataset": config.dataset.model_copy(update=changes)})
    assert not set(every(config).values()) & set(every(other).values())


def test_a_dataset_s_title_is_part_of_none(root: Path) -> None:
    config = compose(root, [MODELS])
    other = config.model_copy(update={"dataset": config.dataset.model_copy(update={"title": "Something else"})})
    assert every(config) == every(other)


def test_a_run_is_the_same_wherever_it_runs_and_another_with_any_other_value(root: Path) -> None:
    def run(*given: str) -> str:
        return keys.run(compose(root, [MODELS, *given]), DATA)

    assert run() == run("runner.workers=7")
    gate = ("promotion.margin=0.5", "promotion.significance=0.01")
    others = [run(g) for g in (*gate, "model.gru.hidden=32", "seed=8", "tuning.seeds=2")]
    assert len({run(), *others}) == 6


def test_a_model_is_logged_anew_in_another_run() -> None:
    one, other = (RunRef(run_id=r, data_version="d", git_commit="g", config_hash="c") for r in "ab")
    assert keys.record(one, "tested") != keys.record(other, "tested")
    assert keys.record(one, "tested") == keys.record(one.model_copy(update={"git_commit": "h"}), "tested")
