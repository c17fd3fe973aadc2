"""Values that only files in ``conf/`` may give: what was overridden of them is found, however it was spelled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daycast.config.compose import compose
from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast.config.sections import Config

CHAMPION = "promotion.champion"


def overridden(root: Path, config: Config, *names: str) -> list[str]:
    """Values that are others than the files of ``conf/`` give, as overrides of them would be written.

    Values are compared, as Hydra knows many spellings of an override. Dataset and gate are those that were chosen.

    Args:
        names: of sections or keys, such as ``promotion.champion``.
    """
    own = compose(root, [f"dataset={config.dataset.name}", f"promotion={config.promotion.name}"], fitting=False)
    return [line for name in names for line in _differing(name, _value(own, name), _value(config, name))]


def require_gate(root: Path, config: Config) -> None:
    """Raise ``ConfigError`` unless the gate before the champion is as its file has it; before a run that promotes."""
    if loose := overridden(root, config, CHAMPION):
        raise ConfigError(
            "the gate before the champion as a file in conf/promotion/ has it",
            " ".join(loose),
            "write a file there and choose it with promotion=NAME, or overrule the gate: `daycast promote --version N "
            "--force --reason TEXT`",
        )


def _value(config: Config, name: str) -> Any:
    value: Any = config.model_dump(mode="json")
    for key in name.split("."):
        value = value[key]
    return value


def _differing(name: str, own: Any, found: Any) -> Iterator[str]:
    if isinstance(own, dict) and isinstance(found, dict) and own.keys() == found.keys():
        for key in own:
            yield from _differing(f"{name}.{key}", own[key], found[key])
    elif own != found:
        yield f"{name}={json.dumps(found)}"
