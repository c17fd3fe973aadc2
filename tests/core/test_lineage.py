"""Where a result came from."""

from daycast.core.lineage import Lineage


def test_lineage_is_told_as_four_tags() -> None:
    assert Lineage("data", "commit", "config", "run").tags() == {
        "daycast.data_version": "data",
        "daycast.git_commit": "commit",
        "daycast.config_hash": "config",
        "daycast.run_id": "run",
    }
