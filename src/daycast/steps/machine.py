"""What computes here, as far as figures may depend on it: code, libraries, processor."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from daycast.core import content
from daycast.steps import keys

TAGS = {
    "daycast.code": "the code that makes figures",
    "daycast.libraries": "libraries",
    "daycast.python": "Python",
    "daycast.cpu": "the processor",
}  # of a run -> what it is, for people


def tags() -> dict[str, str]:
    """The tags of a run that is made here and now."""
    return {
        "daycast.code": content.code(*keys.MAKING),
        "daycast.libraries": " ".join(f"{library}=={version(library)}" for library in content.LIBRARIES),
        "daycast.python": platform.python_version(),
        "daycast.cpu": _processor(),
    }


def differences(told: Mapping[str, str]) -> list[str]:
    """What is otherwise here than where a run was made, in sentences; what it does not tell counts too."""
    here, out = tags(), []
    for tag, what in TAGS.items():
        then = told.get(tag)
        if then is None:
            out.append(f"{what}: not recorded with the run")
        elif then != here[tag] and tag == "daycast.libraries":
            out.append(f"{what}: {_without(then, here[tag])} then, {_without(here[tag], then)} now")
        elif then != here[tag] and tag == "daycast.code":
            out.append(f"{what}, or a library; the run's commit is {told.get('daycast.git_commit')}")
        elif then != here[tag]:
            out.append(f"{what}: {then} then, {here[tag]} now")
    return out


def _without(some: str, others: str) -> str:
    return " ".join(word for word in some.split() if word not in others.split()) or "no others"


def _processor() -> str:
    """The processor's model: others may add in another order, and so round otherwise."""
    told = Path("/proc/cpuinfo")
    if told.is_file():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
