"""Versions of data on a real DVC repository, with stages small enough to run often."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from daycast.adapters import versioning
from daycast.adapters.versioning import repository
from daycast.errors import ContractError, DataError, ToolError

REPOSITORY = Path(__file__).resolve().parents[2]

PIPELINE = """
stages:
  validate:
    matrix:
      dataset: [toy, other]
    cmd: python stage.py validate ${item.dataset}
    deps:
      - data/raw/${item.dataset}
    outs:
      - data/validated/${item.dataset}.json
  prepare:
    matrix:
      dataset: [toy, other]
    cmd: python stage.py prepare ${item.dataset}
    deps:
      - data/raw/${item.dataset}
      - data/validated/${item.dataset}.json
    outs:
      - data/prepared/${item.dataset}.parquet
"""

STAGE = """
import json, os, pathlib, signal, sys, time
stage, name = sys.argv[1:]
outcome = pathlib.Path(os.environ["DAYCAST_OUTCOME"])
text = pathlib.Path("data/raw", name, "received.csv").read_text()
with open("ran.log", "a") as log:
    log.write(f"{stage} {name} {sys.executable} {os.environ['DAYCAST_STATE']}\\n")
print("a word that nobody asked for")
if "broken" in text:
    told = {"kind": "ContractError", "expected": "sound rows", "found": "broken ones", "fix": "mend them"}
    outcome.write_text(json.dumps(told))
    sys.exit(3)
if "crash" in text:
    raise RuntimeError("the stage has a defect")
if "killed" in text:
    os.kill(os.getpid(), signal.SIGKILL)
if "slow" in text and not pathlib.Path("hurry").exists():
    time.sleep(60)
made = {"validate": f"data/validated/{name}.json", "prepare": f"data/prepared/{name}.parquet"}
target = pathlib.Path(made[stage])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(f"{stage} of {text}")
outcome.write_text(json.dumps({"ran": True}))
"""


def make_project(root: Path, git: bool = True) -> Path:
    """A project with DVC's files as they are shipped."""
    for shipped in (".dvc/config", ".dvc/.gitignore", ".dvcignore", "data/.gitignore", ".gitignore"):
        (root / shipped).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / shipped, root / shipped)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "stage.py").write_text(STAGE)
    if git:
        git_in(root, "init", "-q")
        git_in(root, "add", ".")
        git_in(root, "commit", "-q", "-m", "the project")
    return root


def git_in(root: Path, *words: str) -> str:
    named = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(["git", *named, *words], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "with a space")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("template") / "made")
    make(root, "1")
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Path:
    """A project with a prepared version of ``toy`` from the raw text ``1``."""
    return shutil.copytree(template, tmp_path / "made before")


def bring(root: Path, text: str, dataset: str = "toy") -> str:
    folder = root / "data" / "raw" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "received.csv").write_text(text)
    return versioning.add(root, folder)


def reproduce(root: Path, stage: str) -> bool:
    return versioning.reproduce(root, stage, root / ".daycast")


def make(root: Path, text: str, dataset: str = "toy") -> versioning.DataVersion:
    bring(root, text, dataset)
    for stage in ("validate", "prepare"):
        reproduce(root, f"{stage}@{dataset}")
    return versioning.version(root, dataset)


def files(root: Path) -> dict[str, str]:
    """All data files but quarantine, and the lock, by path."""
    there = [p for p in (root / "data").rglob("*") if p.is_file()] + [root / "dvc.lock"]
    return {str(p.relative_to(root)): p.read_text() for p in there if p.exists()}


def ran(root: Path) -> list[str]:
    log = root / "ran.log"
    return [" ".join(line.split()[:2]) for line in log.read_text().splitlines()] if log.exists() else []


def status(root: Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "dvc", "status", "validate@toy", "prepare@toy", "data/raw/toy.dvc"],
        cwd=root, capture_output=True, text=True, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"},
    ).stdout  # fmt: skip


def drop_cache(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")


def test_adding_the_same_bytes_again_leaves_the_pointer_and_git_as_they_are(project: Path) -> None:
    first = bring(project, "1")
    pointer = (project / "data/raw/toy.dvc").read_text()
    git_in(project, "add", "data/raw/toy.dvc")
    git_in(project, "commit", "-q", "-m", "data")
    assert bring(project, "1") == first
    assert (project / "data/raw/toy.dvc").read_text() == pointer
    assert git_in(project, "status", "--porcelain") == ""
    assert bring(project, "2") != first


def test_a_stage_runs_once_alone_and_by_this_interpreter(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    bring(project, "1")
    bring(project, "1", "other")
    assert reproduce(project, "validate@toy") is True
    assert reproduce(project, "validate@toy") is False
    assert ran(project) == ["validate toy"]
    line = (project / "ran.log").read_text()
    assert line.split(" ", 2)[2] == f"{sys.executable} {project / '.daycast'}\n"
    assert Path.cwd() == tmp_path
    assert capfd.readouterr() == ("", "")


def test_outputs_that_only_the_workspace_lost_are_taken_from_the_cache(made: Path) -> None:
    (made / "data/prepared/toy.parquet").unlink()
    assert reproduce(made, "prepare@toy") is False
    assert (made / "data/prepared/toy.parquet").read_text() == "prepare of 1"
    assert ran(made) == ["validate toy", "prepare toy"]


def test_an_unlisted_dataset_is_told_how_to_be_listed(project: Path) -> None:
    bring(project, "1", "mine")
    with pytest.raises(ToolError, match=r"add `mine` to `matrix.dataset` of both stages"):
        reproduce(project, "validate@mine")


def test_the_error_of_a_stage_comes_through_dvc_whole(project: Path) -> None:
    bring(project, "broken")
    with pytest.raises(ContractError) as caught:
        reproduce(project, "validate@toy")
    assert (caught.value.expected, caught.value.found, caught.value.fix) == ("sound rows", "broken ones", "mend them")
    assert caught.value.exit_code == 3
    assert not (project / "dvc.lock").exists()


def test_a_defect_of_a_stage_keeps_its_trace(project: Path) -> None:
    bring(project, "crash")
    with pytest.raises(ToolError, match=r"RuntimeError: the stage has a defect"):
        reproduce(project, "validate@toy")


def test_a_stage_killed_by_a_signal_leaves_nothing_in_the_way_of_the_next_run(made: Path) -> None:
    good = versioning.version(made, "toy")
    bring(made, "killed")
    with pytest.raises(ToolError, match=r"exited with (137|-9)"):
        reproduce(made, "validate@toy")
    assert versioning.version(made, "toy") == good
    assert make(made, "2").version != good.version


def test_killing_everything_in_the_middle_of_a_stage_is_mended_by_the_same_call(project: Path) -> None:
    bring(project, "slow")
    call = textwrap.dedent(
        f"""
        from pathlib import Path
        from daycast.adapters import versioning
        versioning.reproduce(Path({str(project)!r}), "validate@toy", Path({str(project)!r}) / ".daycast")
        """
    )
    process = subprocess.Popen([sys.executable, "-c", call], start_new_session=True)
    wait_for(lambda: ran(project) == ["validate toy"])
    assert (project / ".dvc/tmp/rwlock").read_text() != "{}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (project / "hurry").touch()
    started = time.monotonic()
    assert reproduce(project, "validate@toy") is True
    assert time.monotonic() - started < 30
    assert (project / "data/validated/toy.json").read_text() == "validate of slow"


def wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param('{"write": {"%s": {"pid": 4194999, "cmd": "killed"}}, "read": {}}', id="of a dead process"),
        pytest.param('{"write": {"%s": {"pid": SELF, "cmd": "killed"}}, "read": {}}', id="of an id given out again"),
        pytest.param('{"write": {"%s": {"pi', id="half written"),
    ],
)
def test_marks_that_killed_processes_left_do_not_block(
    project: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(project, "1")
    record = project / ".dvc" / "tmp" / "rwlock"
    record.write_text((mark.replace("%s", str(project / "data/raw/toy"))).replace("SELF", str(os.getpid())))
    before = psutil.Process().create_time() - 60  # written before this process began
    os.utime(record, (before, before))
    monkeypatch.setattr(repository, "LOCK_WAIT_S", 20.0)
    assert bring(project, "2")
    assert reproduce(project, "validate@toy") is True


def test_a_mark_of_a_living_process_is_respected(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(project, "1")
    mark = {"write": {str(project / "data/raw/toy"): {"pid": os.getpid(), "cmd": "at work"}}, "read": {}}
    (project / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(mark))
    monkeypatch.setattr(repository, "LOCK_WAIT_S", 0.1)
    with pytest.raises(ToolError, match="at work"):
        reproduce(project, "validate@toy")


def test_a_lock_that_stays_held_is_waited_for_and_then_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zc.lockfile

    bring(project, "1")
    monkeypatch.setattr(repository, "LOCK_WAIT_S", 0.1)
    held = zc.lockfile.LockFile(str(project / ".dvc" / "tmp" / "lock"))
    try:
        with pytest.raises(ToolError, match="wait for the other process"):
            reproduce(project, "validate@toy")
        monkeypatch.setattr(repository, "LOCK_WAIT_S", 60.0)
        threading.Timer(1, held.close).start()
        assert reproduce(project, "validate@toy") is True
    finally:
        held.close()


def test_two_datasets_at_the_same_time_wait_for_each_other_and_both_get_done(project: Path) -> None:
    made: dict[str, versioning.DataVersion] = {}
    threads = [
        threading.Thread(target=lambda name=name: made.update({name: make(project, name, name)}))
        for name in ("toy", "other")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {name: versioning.version(project, name) for name in ("toy", "other")}
    assert sorted(ran(project)) == ["prepare other", "prepare toy", "validate other", "validate toy"]


def test_a_version_is_the_md5_of_the_prepared_file_and_its_pointers_are_as_dvc_writes_them(project: Path) -> None:
    make(project, "1", "other")
    made = make(project, "1")
    assert made.version == hashlib.md5(b"prepare of 1", usedforsecurity=False).hexdigest()
    pointer = (project / "data/raw/toy.dvc").read_text()
    assert made.pointers["data/raw/toy.dvc"] == pointer
    assert made.raw in pointer
    lock = (project / "dvc.lock").read_text()
    assert "other" not in made.pointers["dvc.lock"]
    assert made.pointers["dvc.lock"].removeprefix("schema: '2.0'\nstages:\n") in lock


def test_a_version_of_nothing_says_what_to_run(project: Path) -> None:
    with pytest.raises(DataError, match="daycast prepare dataset=toy"):
        versioning.version(project, "toy")


def test_a_damaged_lock_says_how_to_mend_it(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  validate@toy: {cmd")
    with pytest.raises(ToolError, match=r"git checkout dvc\.lock"):
        versioning.version(project, "toy")


def test_content_comes_from_the_cache_then_from_the_remote_and_then_not_at_all(made: Path) -> None:
    version = versioning.version(made, "toy")
    versioning.push(made, "toy")
    assert versioning.materialise(made, version.version).read_text() == "prepare of 1"
    drop_cache(made)
    assert versioning.materialise(made, version.version).read_text() == "prepare of 1"
    drop_cache(made)
    shutil.rmtree(made / ".dvcstore")
    with pytest.raises(ToolError, match=r"ingest and prepare the data again"):
        versioning.materialise(made, version.version)


def test_a_damaged_file_of_the_cache_is_never_handed_out(made: Path) -> None:
    def damage(file: Path) -> None:
        file.chmod(0o644)
        file.write_text("prepare of 7")
        file.chmod(0o444)

    version = versioning.version(made, "toy").version
    versioning.push(made, "toy")
    cached = versioning.materialise(made, version)
    damage(cached)
    assert versioning.materialise(made, version).read_text() == "prepare of 1"
    damage(cached)
    damage(made / ".dvcstore" / "files" / "md5" / version[:2] / version[2:])
    with pytest.raises(ToolError, match="none that is whole"):
        versioning.materialise(made, version)


def test_what_the_remote_lost_is_pushed_again(made: Path) -> None:
    version = versioning.version(made, "toy")
    versioning.push(made, "toy")
    shutil.rmtree(made / ".dvcstore")
    versioning.push(made, "toy")
    drop_cache(made)
    assert versioning.materialise(made, version.version).read_text() == "prepare of 1"


def test_restore_brings_back_exactly_an_earlier_version_and_leaves_the_other_dataset(project: Path) -> None:
    make(project, "x", "other")
    first = make(project, "1")
    before = files(project)
    second = make(project, "2")
    assert files(project) != before
    assert versioning.restore(project, first.pointers) == "toy"
    assert files(project) == before
    assert "up to date" in status(project)
    assert versioning.version(project, "toy") == first
    assert reproduce(project, "prepare@toy") is False
    versioning.restore(project, second.pointers)
    assert (project / "data/prepared/toy.parquet").read_text() == "prepare of 2"


def test_restore_pulls_what_the_cache_lost_into_an_empty_clone(made: Path) -> None:
    first = versioning.version(made, "toy")
    versioning.push(made, "toy")
    before = files(made)
    drop_cache(made)
    shutil.rmtree(made / "data")
    (made / "dvc.lock").unlink()
    versioning.restore(made, json.loads(json.dumps(dict(first.pointers))))
    assert files(made) == {k: v for k, v in before.items() if not k.endswith(".gitignore")}


def test_restore_changes_nothing_when_some_bytes_are_gone(made: Path) -> None:
    first = versioning.version(made, "toy")
    make(made, "2")
    before = files(made)
    cached = versioning.materialise(made, first.version)
    cached.unlink()
    with pytest.raises(ToolError, match=first.version):
        versioning.restore(made, first.pointers)
    assert files(made) == before


def test_pointers_of_nothing_are_refused(project: Path) -> None:
    for pointers in ({}, {"dvc.lock": "stages: {}"}, {"dvc.lock": "stages: {validate@toy: {}}"}):
        with pytest.raises(ToolError):
            versioning.restore(project, pointers)


def test_revert_puts_the_last_good_version_back_wholly_and_twice_is_once(made: Path) -> None:
    good = versioning.version(made, "toy")
    before = files(made)
    for _ in range(2):
        bring(made, "broken")
        with pytest.raises(ContractError):
            reproduce(made, "validate@toy")
        assert versioning.revert(made, "toy") == good.raw
        assert files(made) == before
        assert "up to date" in status(made)


def test_revert_without_a_good_version_leaves_nothing(project: Path) -> None:
    bring(project, "broken")
    assert versioning.revert(project, "toy") is None
    assert not (project / "data/raw/toy").exists()
    assert not (project / "data/raw/toy.dvc").exists()
    assert versioning.revert(project, "toy") is None


def test_revert_to_a_version_whose_bytes_are_nowhere_keeps_its_pointers(made: Path) -> None:
    good = versioning.version(made, "toy")
    bring(made, "broken")
    drop_cache(made)
    assert versioning.revert(made, "toy") == good.raw
    assert (made / "data/raw/toy.dvc").read_text() == good.pointers["data/raw/toy.dvc"]
    assert not (made / "data/raw/toy").exists()
    with pytest.raises(DataError, match="daycast ingest dataset=toy"):
        versioning.settle(made, "toy")


def test_settle_tracks_what_lies_there_and_brings_back_what_does_not(project: Path) -> None:
    with pytest.raises(DataError, match="daycast ingest dataset=toy"):
        versioning.settle(project, "toy")
    first = bring(project, "1")
    (project / "data/raw/toy/received.csv").write_text("2")  # as a process leaves it that is killed before it adds
    second = versioning.settle(project, "toy")
    assert second != first
    assert second in (project / "data/raw/toy.dvc").read_text()
    shutil.rmtree(project / "data/raw/toy")
    assert versioning.settle(project, "toy") == second
    assert (project / "data/raw/toy/received.csv").read_text() == "2"


def test_everything_works_without_git(tmp_path: Path) -> None:
    project = make_project(tmp_path / "no git", git=False)
    version = make(project, "1")
    assert "no_scm = true" in (project / ".dvc/config.local").read_text().lower()
    versioning.push(project, "toy")
    drop_cache(project)
    versioning.restore(project, version.pointers)
    assert versioning.version(project, "toy") == version
    assert versioning.commit(project) == "unknown"


def test_a_folder_without_dvc_says_so(tmp_path: Path) -> None:
    (tmp_path / "data/raw/toy").mkdir(parents=True)
    with pytest.raises(ToolError, match=r"copy the folder \.dvc"):
        versioning.add(tmp_path, tmp_path / "data/raw/toy")


def test_git_sees_no_data_only_the_pointer_and_the_lock(made: Path) -> None:
    versioning.push(made, "toy")
    (made / "ran.log").unlink()
    assert sorted(git_in(made, "status", "--porcelain", "-uall").split()) == sorted(
        ["??", "data/raw/toy.dvc", "??", "dvc.lock"]
    )


def test_the_commit_is_told_with_its_changes_and_never_that_of_a_clone_around(project: Path) -> None:
    head = git_in(project, "rev-parse", "HEAD").strip()
    (project / "untracked").touch()
    assert versioning.commit(project) == head
    (project / "stage.py").write_text("changed")
    assert versioning.commit(project) == f"{head}-dirty"
    inner = make_project(project / "unpacked inside", git=False)
    assert versioning.commit(inner) == "unknown"


def test_the_shipped_configuration_is_quiet_and_stores_beside_the_project() -> None:
    from dvc.config import Config

    config = Config(str(REPOSITORY / ".dvc"))
    assert (config["core"]["analytics"], config["core"]["check_update"]) == (False, False)
    assert Path(config["remote"]["store"]["url"]).resolve() == REPOSITORY / ".dvcstore"


def test_an_image_without_git_tells_the_commit_it_was_built_from(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = make_project(tmp_path / "an image", git=False)
    assert versioning.commit(bare) == "unknown"
    monkeypatch.setenv("DAYCAST_COMMIT", "0123abc")
    assert versioning.commit(bare) == "0123abc"
    assert versioning.commit(project) == git_in(project, "rev-parse", "HEAD").strip()  # a clone knows better
