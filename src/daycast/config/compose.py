"""Compose ``conf/`` with Hydra, and check the result.

``conf/`` is the only place of values; nothing here has a default. Values of the ``dataset`` group can't be overridden
on the command line, because they shape data, and DVC knows only what is in ``conf/dataset/``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from daycast.config.dataset import Dataset
from daycast.config.section import Section
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

    from daycast.config.promotion import Promotion
    from daycast.config.sections import Config

T = TypeVar("T", bound=Section)

UNUSED = ("runner", "alert", "monitoring")  # sections that change no forecast: where tasks run, what is watched
SEVERAL = "model"  # the one group of which several options are chosen


def compose(root: Path, overrides: Sequence[str] = (), *, fitting: bool = True) -> Config:
    """The configuration of ``root/conf`` with overrides in Hydra's grammar, such as ``model=[gru,sarima]``.

    Args:
        fitting: whether models will be fitted, and so have to suit the dataset; else each section is checked by itself.

    Raises:
        ConfigError: an override names no key or group (with the nearest valid ones), or values are wrong (all of them).
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from daycast.config.sections import Config  # here, as the stages of DVC read the dataset section alone

    conf = root.resolve() / "conf"
    asked = _parsed(overrides)
    groups = [o for o in asked if o.key_or_group in _groups(conf)]
    values = [o for o in asked if o not in groups]
    for group in groups:
        _check_group(conf, group)
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(conf)):
            chosen = hydra_compose("config", overrides=_lines(groups), return_hydra_config=True)
            choices = dict(chosen.hydra.runtime.choices)
            _check_values(conf, values, [k for k in _keys(OmegaConf.to_container(chosen)) if not k.startswith("hydra")])
            composed = hydra_compose("config", overrides=_lines([*groups, *values]))
            plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(
            "files in conf/ that Hydra can compose, and overrides that fit them",
            " ".join(str(error).split()),
            "mend the file that is named, or see `daycast config show` for every key",
        ) from error
    from daycast.config.faults import COMMAND_LINE

    _check_name(plain, choices.get("promotion"))
    places = {o.key_or_group: COMMAND_LINE for o in values}
    places |= {group: f"conf/{group}/{choice}.yaml" for group, choice in choices.items() if "/" not in group}
    places |= {f"model.{name}": f"conf/model/{name}.yaml" for name in _options(conf, "model")}
    places |= {SEVERAL: "conf/model/", "": "conf/config.yaml"}
    return _validate(Config, plain, places, together=fitting)


def dataset_only(root: Path, name: str) -> Dataset:
    """The dataset section alone, exactly as its file (which DVC tracks) says.

    Raises:
        ConfigError: no such dataset, or its file is wrong.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    place = f"conf/dataset/{name}.yaml"
    if not (root / place).is_file():
        raise _unknown("dataset", name, _options(root / "conf", "dataset"))
    try:
        plain = OmegaConf.to_container(OmegaConf.load(root / place), resolve=True)
    except (OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"YAML in {place}", " ".join(str(error).split()), "mend the file") from error
    return _validate(Dataset, plain, {"dataset": place}, at="dataset")


def recorded(text: str, promotion: Promotion | None = None) -> Config:
    """The configuration of an earlier run, from the YAML that it left.

    Args:
        promotion: in place of the run's own gate.

    Raises:
        ConfigError: it does not fit the schema of this code.
    """
    from yaml import safe_load

    from daycast.config.sections import Config

    values = safe_load(text)
    values |= {} if promotion is None else {"promotion": promotion.model_dump(mode="json")}
    return _validate(Config, values, {"": "config.yaml of the run"}, together=False)


def config_hash(config: Config, without: Sequence[str] = UNUSED) -> str:
    """Content key of what determines results."""
    from daycast.core.content import key

    return key(config.model_dump(mode="json", exclude=set(without)))


def _validate(kind: type[T], values: Any, places: Mapping[str, str], at: str = "", *, together: bool = True) -> T:
    # Strict by way of JSON: lists become tuples and ISO text becomes dates, but "3" never becomes 3.
    try:
        return kind.model_validate_json(json.dumps(values), context={"together": together})
    except ValidationError as error:
        from daycast.config.faults import faults  # only of a stage of DVC that fails

        raise ConfigError(
            "values that fit the schema (`daycast config schema`)",
            "".join(f"\n  {fault}" for fault in faults(kind, error, places, at)),
            "change these values where they stand",
        ) from error


def _parsed(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    expected = "overrides in Hydra's grammar, such as `dataset=cta model=[gru,sarima] tuning.n_trials=30`"
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException as error:
        why = str(error).removeprefix(f"Error parsing override '{error.override}'\n").splitlines()[0]
        fix = "write `group=choice` or `section.key=value`, with brackets and quotes closed"
        raise ConfigError(expected, f"`{error.override}`: {why}", fix) from error
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(expected, f"`{override.input_line}`", "give each key one value; a list is [a,b]")
    return parsed


def _lines(overrides: Sequence[Override]) -> list[str]:
    return [str(o.input_line) for o in overrides]


def _groups(conf: Path) -> list[str]:
    return sorted(p.name for p in conf.iterdir() if p.is_dir())


def _options(conf: Path, group: str) -> list[str]:
    return sorted(p.stem for p in (conf / group).glob("*.yaml"))


def _check_group(conf: Path, override: Override) -> None:
    group, value, options = override.key_or_group, override.value(), _options(conf, override.key_or_group)
    # Hydra would merge two options into one section, drop what is added to a list, and go on without a section.
    if override.is_delete() or (isinstance(value, list) and (group != SEVERAL or override.is_add())):
        example = "model=[gru,sarima]" if group == SEVERAL else f"{group}={options[0]}"
        raise ConfigError(f"a choice, such as `{example}`", f"`{override.input_line}`", "write it that way")
    for choice in value if isinstance(value, list) else [value]:
        if choice not in options:
            raise _unknown(group, str(choice), options)


def _check_values(conf: Path, overrides: Sequence[Override], keys: Sequence[str]) -> None:
    for override in overrides:
        name = override.key_or_group
        if name.split(".")[0] == "dataset":
            raise ConfigError(
                "no override of a dataset's values: they shape data, and DVC tracks only conf/dataset/",
                f"`{override.input_line}`",
                "change conf/dataset/<name>.yaml, or copy it under a new name and choose that with dataset=<name>",
            )
        # What is added to a section, such as one more parameter to search, is checked with the section.
        if name not in keys and not (override.is_add() and name.rpartition(".")[0] in keys):
            near = difflib.get_close_matches(name, {*keys, *_groups(conf)}, n=4, cutoff=0.5)
            raise ConfigError(
                f"a key of the configuration{', such as ' + ', '.join(f'`{n}`' for n in near) if near else ''}",
                f"`{name}`",
                "see `daycast config show` for every key (a model's values are there only when it is chosen)",
            )


def _check_name(values: Any, chosen: str | None) -> None:
    """A run tells by its name which gate it chose: a copied file with the name of another would be taken for that."""
    found = values.get("promotion")
    if isinstance(found, dict) and found.get("name", chosen) != chosen:
        raise ConfigError(
            f"the name `{chosen}` in conf/promotion/{chosen}.yaml",
            f"`{found['name']}`",
            f"write `name: {chosen}` there",
        )


def _keys(values: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield f"{prefix}{key}"
            yield from _keys(value, f"{prefix}{key}.")


def _unknown(group: str, choice: str, options: list[str]) -> ConfigError:
    near = " or ".join(f"`{n}`" for n in difflib.get_close_matches(choice, options, n=3, cutoff=0.4))
    return ConfigError(
        f"{group}= one of {', '.join(options)}",
        f"`{choice}`",
        f"did you mean {near}? Or add conf/{group}/{choice}.yaml" if near else f"add conf/{group}/{choice}.yaml",
    )
