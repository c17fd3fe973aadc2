"""What ``infra`` holds for Docker and Kubernetes, checked as far as real tools go without an engine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from daycast.settings import QUIET
from tests.conftest import ROOT
from tests.infra.topology import INFRA, compose

HERE = Path(sys.executable).parent
SCRIPTS = ("backup", "restore", "make-secrets", "postgres/databases.sh", "kubernetes/secret")
OURS = [name for name in compose()["services"] if name != "postgres"]
PYTHON = ("with-secrets", "healthy", "requirements", "setup")
KUBERNETES = "1.32"
NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")  # a secret in a variable; Docker's own begin with $


def tool(name: str, *words: str | Path, **more: Any) -> str:
    """What a tool of the development extra, or of the system, prints; its complaints are the test's."""
    found = HERE / name if (HERE / name).exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([found, *words], cwd=ROOT, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def service(name: str) -> dict[str, Any]:
    return compose()["services"][name]


def test_the_compose_file_is_one_by_the_schema_of_the_specification() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", INFRA / "compose.yaml")


def test_a_real_client_of_docker_compose_reads_it(tmp_path: Path) -> None:
    """The plugin where Docker has it, else Debian's older client."""
    with_plugin = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode == 0
    client = ("docker", "compose") if with_plugin else ("docker-compose",)
    words = ["--file", str(INFRA / "compose.yaml"), "--profile", "gpu", "--profile", "tools", "config"]
    told = yaml.safe_load(tool(*client, *words, env={**os.environ, "BIND": "10.0.0.7", "BACKUPS": str(tmp_path)}))
    assert set(told["services"]) == set(compose()["services"])
    assert "10.0.0.7" in json.dumps(told["services"]["mlflow"]["ports"])
    assert str(tmp_path) in json.dumps(told["services"]["backup"]["volumes"])


@pytest.mark.parametrize("name", compose()["services"])
def test_a_service_is_bounded_and_watched(name: str) -> None:
    told = service(name)
    assert {"cpus", "memory"} == set(told["deploy"]["resources"]["limits"])
    lasting = told["restart"] == "unless-stopped"
    assert told["healthcheck"].get("disable", False) is not lasting
    assert told["logging"]["options"]["max-size"]
    if name in OURS:
        assert told["cap_drop"] == ["ALL"]
        assert told["security_opt"] == ["no-new-privileges:true"]


def test_nothing_is_published_but_on_this_machine_alone() -> None:
    published = [port for told in compose()["services"].values() for port in told.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("${BIND:-127.0.0.1}:") for port in published)


def test_mlflow_answers_under_the_names_that_workers_and_operators_use_and_under_no_other() -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    told = service("mlflow")["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    for given, asked in (("localhost", "nobody:1"), ("forecasts.example.org:*", "forecasts.example.org:5000")):
        hosts = re.sub(r"\$\{MLFLOW_HOSTS:-.*?\}", given, told).split(",")
        assert all(is_allowed_host_header(hosts, name) for name in ("mlflow:5000", "localhost:5000", "127.0.0.1:5001"))
        assert is_allowed_host_header(hosts, asked) is (given != "localhost")


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_just_the_secrets_that_its_environment_names(name: str) -> None:
    named = {found for value in service(name).get("environment", {}).values() for found in NAMED.findall(value)}
    assert set(service(name).get("secrets", [])) == named


def test_every_secret_is_made_once_and_none_is_in_git(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([INFRA / "make-secrets", tmp_path / "secrets"], check=True, capture_output=True)
    files = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert set(files) == set(compose()["secrets"])
    assert files.pop("notify_urls") == ""  # whose addresses these are, nobody else knows
    assert len(set(files.values())) == len(files)
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in files.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    paths = [told["file"] for told in compose()["secrets"].values()]
    assert paths == [f"./secrets/{name}" for name in compose()["secrets"]]
    ignored = subprocess.run(["git", "check-ignore", "infra/secrets/x", "infra/.env"], cwd=ROOT, capture_output=True)
    assert ignored.stdout.split() == [b"infra/secrets/x", b"infra/.env"]


def test_secrets_are_filled_in_as_they_are_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "hush").write_text("a b$c'd\n")
    env = {"PATH": os.environ["PATH"], "SECRETS": str(tmp_path), "URL": "x://{hush}@y/${z}", "PLAIN": "{1} {A}"}
    show = ["python3", "-c", "import os; print(os.environ['URL'], os.environ['PLAIN'])"]
    done = subprocess.run([INFRA / "with-secrets", *show], env=env | {"Z": ""}, capture_output=True, text=True)
    assert done.returncode != 0
    assert "URL names the secret z" in done.stderr
    env["URL"] = "x://{hush}@y"
    done = subprocess.run([INFRA / "with-secrets", *show], env=env, capture_output=True, text=True)
    assert done.stdout == "x://a b$c'd@y {1} {A}\n"


def test_scripts_are_sound() -> None:
    tool("shellcheck", *(INFRA / name for name in SCRIPTS))
    assert all(os.access(INFRA / name, os.X_OK) for name in (*SCRIPTS, *PYTHON))


def test_the_images_are_sound_and_of_no_privileged_user() -> None:
    tool("hadolint", INFRA / "Dockerfile")
    told = (INFRA / "Dockerfile").read_text()
    user = re.findall(r"^USER (.*)$", told, re.MULTILINE)
    assert user == ["10001"]
    manifests = [*(INFRA / "kubernetes").rglob("*.yaml"), *(INFRA / "kubernetes").rglob("*.json")]
    assert {u for f in manifests for u in re.findall(r'"?runAsUser"?: (\d+)', f.read_text())} == set(user)
    targets = re.findall(r"^FROM runtime AS (\w+)$", told, re.MULTILINE)
    assert set(targets) == {told["build"]["target"] for told in compose()["services"].values() if "build" in told}


def test_the_images_let_no_library_phone_home() -> None:
    told = (INFRA / "Dockerfile").read_text()
    assert {name: found[1] for name in QUIET if (found := re.search(rf"\b{name}=(\S+)", told))} == QUIET


def installs() -> list[list[str]]:
    """The ``pip install`` commands of the Dockerfile."""
    told = (INFRA / "Dockerfile").read_text()
    return [shlex.split(line) for line in re.findall(r"^RUN (pip install .*)$", told, re.MULTILINE)]


def test_what_the_images_install_is_what_the_tests_run_with(tmp_path: Path) -> None:
    """Each install command, made dry and without an index, finds all of it here already, at the pinned versions."""
    dockerfile = (INFRA / "Dockerfile").read_text()
    made = re.search(r"RUN \./requirements (.*) > requirements\.txt", dockerfile)
    assert made is not None
    requirements = tool("python", INFRA / "requirements", *made[1].split())
    (tmp_path / "requirements.txt").write_text(requirements)
    for pins in (ROOT / "constraints.txt", INFRA / "cuda.txt"):
        shutil.copy(pins, tmp_path)
    assert len(installs()) == 2
    for command in {tuple(word for word in c if not word.startswith("http")) for c in map(dry, installs())}:
        done = subprocess.run([HERE / "python", "-m", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Would install" not in done.stdout


def test_cuda_is_pinned_for_the_very_torch_that_is_pinned() -> None:
    (torch,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    told, *pins = (INFRA / "cuda.txt").read_text().splitlines()
    assert f"PyTorch {torch} " in told
    assert pins == sorted(pins)
    assert all(re.fullmatch(r"(nvidia|cuda|triton)[a-z0-9-]*==[0-9.]+", pin) for pin in pins)


def dry(command: list[str]) -> list[str]:
    words = [word for word in command if word != "--extra-index-url"]
    return [*words, "--dry-run", "--no-index", "--disable-pip-version-check"]


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_what_kustomize_makes_is_valid_for_kubernetes(overlay: str) -> None:
    made = [one for one in yaml.safe_load_all(tool("kubectl", "kustomize", INFRA / "kubernetes" / overlay)) if one]
    for one in made:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    kinds = {(one["kind"], one["metadata"]["name"]) for one in made}
    assert ("Deployment", "worker-cpu") in kinds
    assert (("Deployment", "worker-gpu") in kinds) == (overlay == "gpu")
    for one in made:
        if one["kind"] == "Deployment":
            (container,) = one["spec"]["template"]["spec"]["containers"]
            told = json.dumps(container)
            assert {"limits", "requests"} == set(container["resources"])
            assert container["livenessProbe"]
            maps = {v["configMap"]["name"] for v in one["spec"]["template"]["spec"]["volumes"] if "configMap" in v}
            assert {("ConfigMap", name) for name in {*maps, container["envFrom"][0]["configMapRef"]["name"]}} <= kinds
            pool = container["args"][container["args"].index("--pool") + 1]
            assert f"/jobs/{pool}.json" in told


def test_the_gpu_worker_is_the_other_one_but_for_its_pool() -> None:
    base, gpu = ((INFRA / "kubernetes" / name / "worker.yaml").read_text() for name in ("base", "gpu"))
    assert gpu == re.sub(r"\bcpu\b(?!:)", "gpu", base).replace("daycast-jobs", "daycast-gpu-jobs")


@pytest.mark.parametrize("pool", ["base/cpu", "gpu/gpu"])
def test_a_run_becomes_a_valid_job_of_its_pool(pool: str) -> None:
    from prefect.client.schemas.objects import FlowRun
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    template = json.loads((INFRA / "kubernetes" / f"{pool}.json").read_text())
    with temporary_settings(
        {PREFECT_API_URL: "http://127.0.0.1:1/api"}
    ):  # else it would start a server, to ask nothing
        making = KubernetesWorkerJobConfiguration.from_template_and_values(base_job_template=template, values={})
        job = asyncio.run(making)
    job.prepare_for_flow_run(FlowRun(name="training", flow_id=uuid.uuid4()))
    kubernetes_validate.validate(job.job_manifest, KUBERNETES, strict=True)
    pod = job.job_manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    gpu = pool == "gpu/gpu"
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == gpu
    assert ("nodeSelector" in pod, "tolerations" in pod) == (gpu, gpu)
    assert container["image"].endswith(":cuda" if gpu else ":cpu")


def test_the_secret_of_kubernetes_has_what_the_addresses_name(tmp_path: Path) -> None:
    subprocess.run([INFRA / "make-secrets", tmp_path], check=True, capture_output=True)
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    secret = yaml.safe_load(tool(str(INFRA / "kubernetes" / "secret"), str(tmp_path)))
    kubernetes_validate.validate(secret, KUBERNETES)
    told = (INFRA / "kubernetes" / "base" / "addresses.env").read_text()
    assert set(secret["data"]) == set(NAMED.findall(told))
    names = {line.partition("=")[0] for line in told.splitlines()}
    assert names == set(service("worker-cpu")["environment"])
