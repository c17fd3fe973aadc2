"""What is wrong with a configuration, fault by fault: its path in YAML, where that stands, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from daycast.config.section import Section

OWN_PATH = re.compile(r"([a-z_][\w.]*): ")  # a check of several values names the one it is about at its start
COMMAND_LINE = "the command line"
UNION = ("<one>", "<each>")  # tags of our own
SHOWN = 80  # characters of a wrong value


def faults(kind: type[Section], error: ValidationError, places: Mapping[str, str], at: str = "") -> list[str]:
    """A line per fault.

    Args:
        kind: the section that was checked.
        places: path of a section or a value -> where it stands, such as a file; the longest that fits is told.
        at: path of the checked section itself.
    """
    found = []
    for fault in error.errors():
        path, sections = _walk(kind, fault["loc"])
        for message in _messages(fault, sections):
            below = OWN_PATH.match(message)
            whole = ".".join(filter(None, [at, *path, below and below[1]]))
            told = message[below.end() :] if below else message
            found.append(f"{whole or 'conf'} ({_place(whole, places)}): {told}")
    return found


def _walk(kind: type[Section], loc: tuple[int | str, ...]) -> tuple[list[str], list[type[Section]]]:
    """The path in YAML, and the sections that may stand at its end (or around it, where it ends in no section).

    Pydantic also names the member of a union that it took, which YAML does not.
    """
    path, sections = [], [kind]
    for part in loc:
        if part in UNION:
            continue
        inside = [f.annotation for s in sections for name, f in s.model_fields.items() if name == part]
        tagged = [s for s in sections if part in _tags(s)]
        if inside:
            sections = [s for annotation in inside for s in _sections(annotation)] or sections
        if tagged and not inside and len(sections) > 1:
            sections = tagged
        else:
            path.append(str(part))
    return path, sections


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [s for argument in get_args(annotation) for s in _sections(argument)]


def _tags(section: type[Section]) -> list[Any]:
    kinds = [f.annotation for name, f in section.model_fields.items() if name in ("kind", "family")]
    return [tag for kind in kinds if get_origin(kind) is Literal for tag in get_args(kind)]


def _messages(fault: Any, sections: list[type[Section]]) -> list[str]:
    found = _short(fault["input"])
    if fault["type"] == "value_error":  # a check of ours: a line each
        return str(fault["msg"]).removeprefix("Value error, ").splitlines()
    if fault["type"] == "missing":
        return ["expected a value, found none"]
    if fault["type"] == "extra_forbidden":
        names = sorted({name for s in sections for name in s.model_fields})
        near = difflib.get_close_matches(str(fault["loc"][-1]), names, n=3, cutoff=0.5) or names
        return [f"no such key; there is {', '.join(f'`{n}`' for n in near)}"]
    if fault["type"] == "union_tag_invalid":
        given = _short(fault["ctx"]["tag"])
        return [f"{fault['ctx']['discriminator']} should be one of {fault['ctx']['expected_tags']}, found {given}"]
    return [f"{fault['msg']}, found {found}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def _place(path: str, places: Mapping[str, str]) -> str:
    parts = path.split(".")
    heads = (".".join(parts[:n]) for n in range(len(parts), -1, -1))
    nearest = next((places[head] for head in heads if head in places), "conf/")
    inside = {places[p] for p in places if p.startswith(f"{path}.") and places[p] == COMMAND_LINE}
    return " and ".join([nearest, *inside])
