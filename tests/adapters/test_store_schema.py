"""The schema of the forecast store: its revisions, on real SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

from daycast.adapters import store
from daycast.adapters.store import revisions
from daycast.adapters.store.tables import metadata
from daycast.core.lineage import Lineage
from daycast.errors import ToolError
from tests.adapters import postgres

LINEAGE = Lineage("data1", "commit1", "config1", "run1")
NEWEST = revisions.wanted()
NEXT = f"{int(NEWEST) + 1:04}"
AFTER = f'''
"""Whether somebody looked at a forecast."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{NEXT}", "{NEWEST}"

def upgrade() -> None:
    with op.batch_alter_table("forecasts") as table:
        table.add_column(sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.false()))
        table.alter_column("model", type_=sa.String(128), existing_nullable=False)

def downgrade() -> None:
    with op.batch_alter_table("forecasts") as table:
        table.alter_column("model", type_=sa.String(64), existing_nullable=False)
        table.drop_column("seen")
'''


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a folder, 100 %' / 'forecasts.db'}"
        return
    server = request.getfixturevalue("postgresql")
    with raw(server) as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP DATABASE IF EXISTS forecasts"))
        connection.execute(text("CREATE DATABASE forecasts"))
    yield server.rpartition("/")[0] + "/forecasts"


@contextmanager
def raw(url: str) -> Iterator[Engine]:
    """The database as it is."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def alembic(url: str, action: Callable[..., Any], target: str) -> None:
    with raw(url) as engine, engine.connect() as connection:
        action(revisions.config(connection), target)
        connection.commit()


def tables(url: str) -> set[str]:
    with raw(url) as engine:
        return set(inspect(engine).get_table_names())


def differences(url: str) -> list[Any]:
    """What Alembic would change to make the database what ``tables`` says."""
    with raw(url) as engine, engine.connect() as connection:
        options = {"version_table": revisions.TABLE, "compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def row() -> pd.DataFrame:
    day = pd.Timestamp("2024-01-01")
    return pd.DataFrame({"unique_id": ["rail"], "cutoff": day, "ds": day + pd.Timedelta("1D"), "step": 1, "y_hat": 7.5})


FORECAST = """
INSERT INTO forecasts (dataset, unique_id, cutoff, ds, step, y_hat, quantiles, model, model_version, data_version,
                       git_commit, config_hash, run_id, made_at)
VALUES ('cta', 'rail', '2024-01-01 00:00:00', '2024-01-02 00:00:00', 1, 7.5, '{}', 'gru', '7', 'data1',
        'commit1', 'config1', 'run1', '2024-01-01 06:00:00')
"""
PROMOTED = """
INSERT INTO promotions (dataset, number, run_id, to_version, decision, decided_at)
VALUES ('cta', 1, 'run1', '7', '{}', '2026-01-01 00:00:00')
"""


def fill(url: str) -> None:
    """Some rows, as code without revisions would have left them."""
    alembic(url, command.upgrade, "0001")
    with raw(url) as engine, engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {revisions.TABLE}"))
        connection.execute(text(PROMOTED))
        connection.execute(text(FORECAST))


def test_a_new_store_has_the_tables_of_the_code_and_its_revision(url: str) -> None:
    assert store.schema(url).found is None
    before, after = store.upgrade(url)
    assert (before.found, after.found) == (None, revisions.wanted())
    assert tables(url) == {*metadata.tables, revisions.TABLE}
    assert differences(url) == []


def test_rows_are_counted_beyond_two_thousand_million(url: str) -> None:
    with store.opened(url) as engine:
        if engine.dialect.name == "postgresql":
            with engine.begin() as connection:
                connection.execute(text("ALTER SEQUENCE forecasts_id_seq RESTART WITH 3000000000"))
        store.write_forecasts(engine, "cta", row(), ("gru", "7"), LINEAGE)
        assert (store.read_forecasts(engine, "cta")["id"].iloc[0] > 2**31) == (engine.dialect.name == "postgresql")


def test_every_revision_can_be_taken_back_and_made_again(url: str) -> None:
    with store.opened(url):
        pass
    for revision in [*reversed(revisions.known()[:-1]), "base"]:
        alembic(url, command.downgrade, revision)
    assert tables(url) == {revisions.TABLE}
    for revision in revisions.known():
        alembic(url, command.upgrade, revision)
    assert differences(url) == []


def test_the_newest_file_is_the_head_and_all_are_one_line_of_descent() -> None:
    with raw("sqlite://") as engine, engine.connect() as connection:
        script = ScriptDirectory.from_config(revisions.config(connection))
    assert script.get_heads() == [revisions.wanted()]
    assert [r.revision for r in script.walk_revisions()] == revisions.known()[::-1]


def test_a_store_of_before_there_were_revisions_is_taken_over_with_its_rows(url: str) -> None:
    fill(url)
    with store.opened(url) as engine:
        (kept,) = store.read_forecasts(engine, "cta").to_dict("records")
        assert (kept["y_hat"], kept["role"], kept["fallback_reason"]) == (7.5, "champion", None)
        assert store.read_promotions(engine, "cta")["to_version"].tolist() == ["7"]
    assert store.schema(url).found == revisions.wanted()
    assert differences(url) == []


def test_a_table_that_a_killed_process_did_not_come_to_is_made(url: str) -> None:
    fill(url)
    with raw(url) as engine:
        metadata.tables["promotions"].drop(engine)
    with store.opened(url) as engine:
        assert store.read_promotions(engine, "cta").empty
        assert len(store.read_forecasts(engine, "cta")) == 1


def test_the_next_revision_is_a_file_beside_the_first_and_older_code_refuses_its_store(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    newer = tmp_path / "newer code"
    shutil.copytree(revisions.MIGRATIONS, newer)
    (newer / "versions" / f"{NEXT}_seen.py").write_text(AFTER)
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "MIGRATIONS", newer)
        with store.opened(url) as engine, engine.connect() as connection:
            assert connection.execute(text("SELECT y_hat, seen FROM forecasts")).all() == [(7.5, False)]
        assert store.schema(url).found == NEXT
    with pytest.raises(ToolError, match=f"revision {NEXT}, of newer code"), store.opened(url):
        pass
    assert store.schema(url).found == NEXT
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "MIGRATIONS", newer)
        alembic(url, command.downgrade, NEWEST)
    with store.opened(url) as engine:
        assert store.read_forecasts(engine, "cta")["y_hat"].tolist() == [7.5]
    assert differences(url) == []


def test_a_revision_that_fails_half_way_leaves_the_store_as_it_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    with store.opened(url):
        pass
    broken = tmp_path / "broken code"
    shutil.copytree(revisions.MIGRATIONS, broken)
    half = AFTER.replace("\ndef downgrade", "    op.execute('SELECT * FROM nowhere')\n\ndef downgrade")
    (broken / "versions" / f"{NEXT}_seen.py").write_text(half)
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "MIGRATIONS", broken)
        with pytest.raises(ToolError, match="nowhere"), store.opened(url):
            pass
    assert store.schema(url).found == NEWEST
    assert differences(url) == []


def test_a_database_shared_with_another_tool_of_alembic_is_no_trouble(url: str) -> None:
    with raw(url) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of-another-tool')"))
    with store.opened(url) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "of-another-tool"


OPENING = """
import sys
from daycast.adapters import store
with store.opened(sys.argv[1]):
    print("alembic" in sys.modules)
"""


def test_alembic_is_not_even_imported_for_a_store_that_is_up_to_date(url: str) -> None:
    told = [
        subprocess.run([sys.executable, "-c", OPENING, url], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told == ["True\n", "False\n"]


def daycast(url: str, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DAYCAST_STORE_URL": url, "DAYCAST_ROOT": str(root)}
    return subprocess.run(
        [sys.executable, "-m", "daycast", *words], env=env, capture_output=True, text=True, check=False
    )


def test_an_operator_sees_the_schema_and_brings_it_up(url: str, root: Path) -> None:
    fill(url)
    told = json.loads(daycast(url, root, "store", "status", "--json").stdout)
    assert (told["found"], told["wanted"], told["state"]) == (None, revisions.wanted(), "behind")
    assert revisions.TABLE not in tables(url)  # to look changes nothing
    told = json.loads(daycast(url, root, "store", "upgrade", "--json").stdout)
    assert (told["before"]["found"], told["after"]["state"]) == (None, "current")
    with raw(url) as engine, engine.begin() as connection:
        connection.execute(text(f"UPDATE {revisions.TABLE} SET version_num = '9999'"))
    shown = daycast(url, root, "store", "status")
    assert shown.returncode == 0
    assert "9999" in shown.stdout
    assert "newer" in shown.stdout
    refused = daycast(url, root, "store", "upgrade")
    assert refused.returncode == ToolError.exit_code
    assert "9999" in refused.stderr
