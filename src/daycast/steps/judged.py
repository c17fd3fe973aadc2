"""What the gate said of a run's winner, and which gate that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from daycast.config import Promotion, compose, filed, recorded
from daycast.core.gate import Check, passed
from daycast.core.verdict import Decision
from daycast.errors import ConfigError
from daycast.settings import Settings
from daycast.steps import recorded as of_run
from daycast.steps.reference import VersionRef

GATE = "gate.json"  # artifact of the run: every check


@dataclass(frozen=True)
class Judged:
    """What the gate says of a run's winner.

    Attributes:
        run_id: the run.
        decision: of the run, on its leaderboard.
        version: the winner's.
        champion: number of the version that it was judged beside; ``None`` if there was none.
        checks: empty where nothing had to be checked: it is champion already, or won as of a past day.
        of_the_past: whether it won as of a past day, and the champion has seen later ones.
        beside: number of the version that the checks were made beside, ``None`` if there was none.
        promotion: name of the gate that made the checks, as in ``conf/promotion/<name>.yaml``; ``None`` if unknown.
    """

    run_id: str
    decision: Decision
    version: VersionRef
    champion: str | None
    checks: tuple[Check, ...]
    of_the_past: bool = False
    beside: str | None = None
    promotion: str | None = None

    @property
    def may(self) -> bool:
        """Whether the winner may forecast from now on."""
        stays = self.champion == self.version.version
        return not self.of_the_past and (stays or passed(self.checks))

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values."""
        checks = [asdict(check) for check in self.checks]
        return {
            **self.decision.to_json(),
            "judged_run": self.run_id,
            "version": self.version.version,
            "champion": self.champion,
            "beside": self.beside,
            "promotion": self.promotion,
            "gate": checks,
        }


def gate_of(settings: Settings, run_id: str, overrides: Sequence[str], *, loose: bool) -> Promotion:
    """The gate that a run chose, as ``conf/promotion/`` has it now: one that was tightened since counts.

    Args:
        overrides: may choose another gate.
        loose: whether they may change its values too, to see what it would say then.

    Raises:
        ConfigError: it is not there any more, or overrides don't fit or change its values.
        MissingError: there is no such run, or it did not record its configuration.
    """
    if not any(one.startswith("promotion=") for one in overrides):
        chosen = recorded(of_run.configuration(settings, run_id)).promotion.name
        overrides = [*overrides, f"promotion={chosen}"]
    config = compose(settings.root, overrides, fitting=False)
    if not loose and (changed := filed.overridden(settings.root, config, "promotion")):
        raise ConfigError(
            "the gate as a file in conf/promotion/ has it, chosen with promotion=NAME",
            f"{' '.join(changed)}, for this time",
            "look at it with --dry-run, and overrule the gate by --version N --force --reason TEXT",
        )
    return config.promotion
