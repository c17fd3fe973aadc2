"""Compose ``conf/`` with Hydra, and check the result.

``conf/`` is the only place of values; nothing here has a default. Values of the ``dataset`` group can't be overridden
on the command line, because they shape data, and DVC knows only what is in ``conf/dataset/``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from daycast.config.dataset import Dataset
from daycast.config.section import Section
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast.config.sections import Config

T = TypeVar("T", bound=Section)


def compose(root: Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of ``root/conf`` with overrides in Hydra's grammar, such as ``model=[gru,sarima]``.

    Raises:
        ConfigError: an override names no key or group (with the nearest valid ones), or values are wrong (all of them).
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from daycast.config.sections import Config  # here, as the stages of DVC read the dataset section alone

    conf = root.resolve() / "conf"
    groups = [o for o in overrides if "=" in o and _name(o) in _groups(conf)]
    values = [o for o in overrides if o not in groups]
    _check_groups(conf, groups)
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(conf)):
            _check_values(conf, values, OmegaConf.to_container(hydra_compose("config", overrides=groups)))
            composed = OmegaConf.to_container(
                hydra_compose("config", overrides=[*groups, *values]), resolve=True, throw_on_missing=True
            )
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(
            "overrides in Hydra's grammar, such as `dataset=cta model=[gru,sarima] tuning.n_trials=30`",
            str(error).strip().splitlines()[0],
            "see `daycast config show` for every key",
        ) from error
    return _validate(Config, composed)


def dataset_only(root: Path, name: str) -> Dataset:
    """The dataset section alone, exactly as its file (which DVC tracks) says.

    Raises:
        ConfigError: no such dataset, or its file is wrong.
    """
    from omegaconf import OmegaConf

    file = root / "conf" / "dataset" / f"{name}.yaml"
    if not file.is_file():
        raise _unknown("dataset", name, _options(root / "conf", "dataset"))
    return _validate(Dataset, OmegaConf.to_container(OmegaConf.load(file), resolve=True), at=("dataset",))


def config_hash(config: Config) -> str:
    """Content key of what determines results (where tasks run does not)."""
    from daycast.core.content import key

    return key(config.model_dump(mode="json", exclude={"runner"}))


def _validate(kind: type[T], values: Any, at: tuple[str, ...] = ()) -> T:
    # Strict by way of JSON: lists become tuples and ISO text becomes dates, but "3" never becomes 3.
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        faults = [_fault((*at, *map(str, e["loc"])), e) for e in error.errors()]
        raise ConfigError(
            "values that fit the schema (`daycast config schema`)",
            "\n  " + "\n  ".join(faults),
            "change these values in conf/ or on the command line",
        ) from error


def _fault(path: tuple[str, ...], error: Any) -> str:
    if path[:1] == ("model",) and len(path) > 2:
        path = (*path[:2], *path[3:])  # pydantic names the family inside the path; YAML has no such level
    if path[:2] == ("dataset", "source") and len(path) > 2:
        path = (*path[:2], *path[3:])
    file = {1: "conf/config.yaml"}.get(len(path), f"conf/{path[0]}/" if path else "conf/")
    found = "" if error["type"] in ("missing", "value_error") else f", found {error['input']!r}"
    return f"{'.'.join(path) or 'config'} ({file}): {error['msg'].removeprefix('Value error, ')}{found}"


def _groups(conf: Path) -> list[str]:
    return sorted(p.name for p in conf.iterdir() if p.is_dir())


def _options(conf: Path, group: str) -> list[str]:
    return sorted(p.stem for p in (conf / group).glob("*.yaml"))


def _name(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").strip()


def _check_groups(conf: Path, overrides: Sequence[str]) -> None:
    for override in overrides:
        options = _options(conf, _name(override))
        for choice in override.partition("=")[2].strip("[] ").split(","):
            if choice.strip() not in options:
                raise _unknown(_name(override), choice.strip(), options)


def _check_values(conf: Path, overrides: Sequence[str], composed: Any) -> None:
    keys = list(_keys(composed))
    for override in overrides:
        name = _name(override)
        if "=" not in override:
            raise ConfigError("`group=choice` or `section.key=value`", f"`{override}`", "write it with `=`")
        if name.split(".")[0] == "dataset":
            raise ConfigError(
                "no override of a dataset's values: they shape data, and DVC tracks only conf/dataset/",
                f"`{override}`",
                "change conf/dataset/<name>.yaml, or copy it under a new name and choose that with dataset=<name>",
            )
        if name not in keys:
            near = difflib.get_close_matches(name, [*keys, *_groups(conf)], n=4, cutoff=0.5)
            raise ConfigError(
                f"a key of the configuration{', such as ' + ', '.join(f'`{n}`' for n in near) if near else ''}",
                f"`{name}`",
                "see `daycast config show` for every key (a model's values are there only when it is chosen)",
            )


def _keys(values: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield f"{prefix}{key}"
            yield from _keys(value, f"{prefix}{key}.")


def _unknown(group: str, choice: str, options: list[str]) -> ConfigError:
    near = difflib.get_close_matches(choice, options, n=3, cutoff=0.4) or options
    return ConfigError(
        f"{group}= one of {', '.join(options)}",
        f"`{choice}`",
        f"did you mean {' or '.join(f'`{n}`' for n in near)}? Or add conf/{group}/{choice}.yaml",
    )
