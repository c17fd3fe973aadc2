"""Where a result came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Lineage:
    """What leads from any run, model version or forecast row back to the bytes; made once per pipeline run.

    Attributes:
        data_version: DVC's digest of the canonical frame.
        git_commit: commit of the code, with ``-dirty`` where files differed from it.
        config_hash: ``config.config_hash`` of the resolved configuration.
        run_id: MLflow's id of the pipeline run.
    """

    data_version: str
    git_commit: str
    config_hash: str
    run_id: str

    def tags(self) -> dict[str, str]:
        """The four values under names such as ``daycast.data_version``."""
        return {f"daycast.{name}": value for name, value in asdict(self).items()}
