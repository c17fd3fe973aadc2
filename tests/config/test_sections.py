"""Faults in conf/ are told one by one: what path, where it stands, and what would be right."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from daycast.config import compose, dataset_only
from daycast.config.calendar import Event
from daycast.config.dataset import Column
from daycast.config.search import Choice, FloatRange, IntRange, Variants
from daycast.errors import ConfigError

# Their absence means that there is no such bound.
MAY_BE_LEFT_OUT = (Column, Event, FloatRange, IntRange, Choice, Variants)


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A folder with a copy of ``conf/`` to break."""
    shutil.copytree(root / "conf", tmp_path / "conf")
    return tmp_path


def change(project: Path, file: str, **values: Any) -> None:
    """Set values of a file in conf/; a path such as ``gru__hidden`` goes down."""
    at = project / "conf" / file
    content = yaml.safe_load(at.read_text())
    for path, value in values.items():
        *way, last = path.split("__")
        inside = content
        for name in way:
            inside = inside[name]
        inside[last] = value
    at.write_text(yaml.safe_dump(content, sort_keys=False))


def faults(project: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose(project, overrides)
    return [line.strip() for line in caught.value.found.strip().splitlines()]


def unset(section: BaseModel, path: str = "") -> list[str]:
    """Fields of a section, and of all below it, that no YAML gave."""
    found = [f"{path}{name}" for name in type(section).model_fields if name not in section.model_fields_set]
    found = [] if isinstance(section, MAY_BE_LEFT_OUT) else found
    for name in type(section).model_fields:
        value = getattr(section, name)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        found += [f for item in inside if isinstance(item, BaseModel) for f in unset(item, f"{path}{name}.")]
    return found


def options(root: Path, group: str) -> list[str]:
    return sorted(file.stem for file in (root / "conf" / group).glob("*.yaml"))


def test_shipped_files_give_every_value_so_that_no_default_is_silent(root: Path) -> None:
    every = f"model=[{','.join(options(root, 'model'))}]"
    assert unset(compose(root, [every])) == []
    for dataset in options(root, "dataset"):
        assert unset(dataset_only(root, dataset)) == []
    for group in ("backtest", "tuning", "trainer", "promotion", "runner"):
        for choice in options(root, group):
            dataset = "cta" if choice == "p1" else "sample"
            assert unset(compose(root, [f"{group}={choice}", f"dataset={dataset}"])) == []


def test_each_fault_names_the_chosen_file_it_stands_in(project: Path) -> None:
    change(project, "backtest/p1.yaml", horizon=0)
    change(project, "tuning/thorough.yaml", seeds="5")
    change(project, "model/gru.yaml", gru__hidden=-1)
    change(project, "config.yaml", seed=-7)
    change(project, "runner/dask.yaml", workers=0)
    told = faults(project, "dataset=cta", "backtest=p1", "tuning=thorough", "runner=dask")
    assert [line.split(": ")[0] for line in told] == [
        "seed (conf/config.yaml)",
        "model.gru.hidden (conf/model/gru.yaml)",
        "backtest.horizon (conf/backtest/p1.yaml)",
        "tuning.seeds (conf/tuning/thorough.yaml)",
        "runner.workers (conf/runner/dask.yaml)",
    ]
    assert told[3].endswith("found '5'")


def test_a_value_from_the_command_line_is_not_blamed_on_a_file(root: Path) -> None:
    assert faults(root, "tuning.n_trials=-1")[0].startswith("tuning.n_trials (the command line): ")
    assert "conf/backtest/default.yaml and the command line" in faults(root, "backtest.n_targets=3")[0]


def test_every_fault_of_one_check_has_its_own_line(root: Path) -> None:
    told = faults(root, "backtest.horizon=500", "backtest.first_target=2020-01-01")
    assert len(told) == 3
    assert all(line.startswith("backtest (conf/backtest/default.yaml") for line in told)


def test_an_unknown_key_in_a_file_names_the_nearest_of_its_section(project: Path) -> None:
    change(project, "model/gru.yaml", gru__lookbak=7)
    change(project, "trainer/default.yaml", max_epoch=7)
    change(project, "dataset/sample.yaml", source__yeers=3, contract__columns__bus__minn=3)
    assert faults(project) == [
        "dataset.source.yeers (conf/dataset/sample.yaml): no such key; there is `years`",
        "dataset.contract.columns.bus.minn (conf/dataset/sample.yaml): no such key; there is `min`",
        "model.gru.lookbak (conf/model/gru.yaml): no such key; there is `lookback`",
        "trainer.max_epoch (conf/trainer/default.yaml): no such key; there is `max_epochs`, `max_steps`",
    ]
    with pytest.raises(ConfigError, match=r"dataset\.source\.yeers \(conf/dataset/sample\.yaml\)"):
        dataset_only(project, "sample")


def test_a_value_left_out_is_a_fault_with_its_path(project: Path) -> None:
    file = project / "conf" / "model" / "gru.yaml"
    file.write_text(file.read_text().replace("  hidden: 48\n", ""))
    assert faults(project) == ["model.gru.hidden (conf/model/gru.yaml): expected a value, found none"]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.gru.family=grue", "model.gru (conf/model/gru.yaml and the command line): 'family' should be one of"),
        ("model.gru.transforms=[{kind:skale,method:standard,log1p:false}]", "model.gru.transforms.0 (the command"),
        ("model.gru.transforms=[{kind:scale,method:big,log1p:false}]", "model.gru.transforms.0.method (the command"),
        ("+model.gru.search.hiden={kind:choice,values:[8]}", "model.gru.search.hiden (the command line): not a field"),
        ("model.gru.search.dropout.low=0.9", "model.gru.search.dropout (conf/model/gru.yaml and the command line)"),
        ("model.gru.learning_rate=inf", "model.gru.learning_rate (the command line): Input should be a finite number"),
        ("model.sarima.known=[rain]", "model.sarima (conf/model/sarima.yaml and the command line): column `rain`"),
        ("trainer.validation_steps=3", "trainer.validation_steps (the command line): must exceed backtest.horizon"),
        ("~tuning.seeds", "tuning.seeds (the command line): expected a value, found none"),
        ("promotion.significance=0", "promotion.significance (the command line): Input should be greater than 0"),
        ("runner.kind=ray", "runner (conf/runner/threads.yaml and the command line): 'kind' should be one of"),
        ("promotion.significance=1", "promotion.significance (the command line): Input should be less than 1"),
    ],
)
def test_a_fault_deep_inside_has_the_path_that_yaml_has(root: Path, override: str, told: str) -> None:
    assert faults(root, override)[0].startswith(told)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("levels=[0.1,0.9]", "must hold 0.1, 0.5 and 0.9"),
        ("levels=[0.9,0.5,0.1]", "must ascend"),
        ("levels=[0.1,0.5,0.5,0.9]", "must ascend"),
        ("levels=[0.0,0.1,0.5,0.9,1.0]", "must lie in (0, 1)"),
        ("levels=[0.00001,0.1,0.5,0.9,0.99999]", "with four decimals at most"),
        ("levels=[0.05,0.1,0.5,0.9]", "there is no other end to [0.05]"),
        ("window=38", "below the 39 residuals"),
        ("rate=1.0", "Input should be less than 1"),
        ("method=magic", "Input should be 'adaptive' or 'split'"),
    ],
)
def test_intervals_that_nobody_could_draw_or_fill_are_refused(root: Path, override: str, told: str) -> None:
    (line,) = faults(root, f"backtest.intervals.{override}")
    assert line.startswith("backtest.intervals")
    assert told in line


def test_levels_that_a_head_has_not_learned_are_told_with_both_ways_out(root: Path) -> None:
    chosen = ["model=[naive,gru_quantiles]", "model.gru_quantiles.quantiles=[0.1,0.5,0.9]"]
    (line,) = faults(root, *chosen)
    assert line.startswith("model.gru_quantiles.quantiles (")
    assert "without [0.025, 0.975]" in line
    assert "backtest.intervals.source=point" in line
    compose(root, [*chosen, "backtest.intervals.source=point"])
    compose(root, [*chosen, "backtest.intervals.levels=[0.1,0.5,0.9]"])
    compose(root, [*chosen, "model.gru_quantiles.horizon=1"])  # iterated, so it has no quantiles of its own anyway
    compose(root, ["model=[naive,gru]", "model.gru.loss=gaussian"])  # which has all levels


def test_more_intervals_can_be_asked_for(root: Path) -> None:
    levels = "[0.025,0.05,0.1,0.25,0.5,0.75,0.9,0.95,0.975]"
    made = compose(root, [f"backtest.intervals.levels={levels}", "backtest.intervals.window=39"])
    assert len(made.backtest.intervals.levels) == 9


@pytest.mark.parametrize(
    "override",
    [
        "dataset=[sample,cta]",
        "+dataset=cta",
        "~dataset",
        "+model=[lstm]",
        "tuning.n_trials=1,2",
        "model=[gru",
    ],
)
def test_what_hydra_would_take_but_nobody_means_is_refused(root: Path, override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(root, [override])
    assert override.strip("+") in caught.value.found or "Multiple values for dataset" in caught.value.found


def test_a_model_can_be_added_and_a_parameter_more_or_fewer_be_searched(root: Path) -> None:
    more = "+model.gru.search.weight_decay={kind:choice,values:[0.0,0.0001]}"
    made = compose(root, ["+model=lstm", more, "~model.gru.search.dropout"])
    assert list(made.model)[-1] == "lstm"
    assert {"weight_decay"} == made.model["gru"].search.keys() - made.model["lstm"].search.keys()
    assert "dropout" not in made.model["gru"].search


@pytest.mark.parametrize("text", ["promotion: [", "margin: 0.02\n margin: 3", "- a\n- list\n"])
def test_a_file_that_is_no_yaml_of_a_section_is_named(project: Path, text: str) -> None:
    (project / "conf" / "promotion" / "default.yaml").write_text(text)
    (project / "conf" / "dataset" / "cta.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"default"):
        compose(project)
    with pytest.raises(ConfigError, match=r"conf/dataset/cta\.yaml"):
        dataset_only(project, "cta")


def test_what_is_printed_of_a_value_stays_short(project: Path) -> None:
    change(project, "trainer/default.yaml", threads=list(range(1000)))
    (line,) = faults(project)
    assert len(line) < 250


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"address": "10.0.0.5:8786"}, "runner.address"),
        ({"memory_limit": "lots"}, "runner.memory_limit"),
        ({"gpus": "3"}, "gpus 3 is above workers 2"),
        ({"gpus": "1", "fits_per_gpu": "2"}, "fits_per_gpu 2 is above threads 1"),
    ],
    ids=str,
)
def test_a_cluster_that_could_not_be_or_would_idle_is_refused(root: Path, given: dict[str, str], told: str) -> None:
    (line,) = faults(root, "runner=dask", *(f"runner.{name}={value}" for name, value in given.items()))
    assert told in line
    if "gpus" in given:  # nothing of it counts for a cluster that runs
        elsewhere = compose(root, ["runner=dask", "runner.address=tls://10.0.0.5:8786", "runner.gpus=3"])
        assert elsewhere.runner.gpus == 3
