"""The card of a model version, in Markdown: what it is, what it learned from, how good it is, and where it is weak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from daycast.core.gate import Check

DAYS, KINDS = 5, 6  # worst ones that are told
FEWEST = 3  # timestamps of a kind below which its error says nothing
SECTION = "\n## "
GATE, MOVES = "The gate", "In force"
# What matters most, first.
KEPT = (MOVES, GATE, "Scores", "Weak spots", "Reproduce", "Data", "Intervals", "Seeds", "Protocol")


@dataclass(frozen=True)
class Weak:
    """Where forecasts of a backtest were worst; errors as fractions of the series' mean absolute value.

    Attributes:
        days: ``ds, about, error``, the worst first.
        kinds: ``kind, timestamps, error``, those above the mean error, the worst first.
        error: of all rows.
    """

    days: pd.DataFrame
    kinds: pd.DataFrame
    error: float


def weak_spots(rows: pd.DataFrame, kinds: pd.DataFrame) -> Weak:
    """Look for them.

    Args:
        rows: of a backtest, ``unique_id, ds, y_hat, y``, raw units.
        kinds: by timestamp, columns of text such as ``weekday`` or ``event``; empty text for nothing of note. What the
            column ``day`` says only sums others up, so it is no description of a single day.
    """
    seen = rows.dropna(subset="y")
    size = seen["y"].abs().groupby(seen["unique_id"]).transform("mean")
    off = ((seen["y_hat"] - seen["y"]).abs() / size.where(size > 0)).rename("error")
    by_day = off.groupby(seen["ds"]).mean().dropna()
    total = float(by_day.mean()) if len(by_day) else float("nan")
    worst = by_day.sort_values(ascending=False, kind="stable").head(DAYS)
    told = kinds.drop(columns="day", errors="ignore")
    about = [", ".join(f"{kind} {text}" for kind, text in told.loc[ds].items() if text) for ds in worst.index]
    days = pd.DataFrame({"ds": worst.index, "about": about, "error": worst.to_numpy()})
    lines = []
    for column in kinds:
        grouped = by_day.groupby(kinds[column].reindex(by_day.index))
        lines += [[f"{column} {kind}", len(of), float(of.mean())] for kind, of in grouped if kind and len(of) >= FEWEST]
    found = pd.DataFrame(lines, columns=["kind", "timestamps", "error"])
    found = found[found["error"] > total].sort_values("error", ascending=False, kind="stable").head(KINDS)
    return Weak(days, found.reset_index(drop=True), total)


@dataclass(frozen=True)
class Card:
    """What a card tells.

    Attributes:
        title, summary: the model, and what it came to in a line.
        data, protocol: fact → what it is.
        model: its section of the configuration as YAML.
        board: the leaderboard, best first: ``model, mae, mase`` and maybe more.
        name: of the model on the board; ``baselines`` the naive ones on it.
        by_step: ``step`` and ``coverage_80`` … of it, if it has intervals.
        weak: see ``Weak``.
        metric: what the backtest was judged by.
        seeds: score of each of its networks; empty where it is not several of them.
        seeds_metric: what these scores are.
        commands: to get back to what it was made from.
    """

    title: str
    summary: str
    data: Mapping[str, Any]
    protocol: Mapping[str, Any]
    model: str
    board: pd.DataFrame
    name: str
    baselines: frozenset[str]
    by_step: pd.DataFrame
    weak: Weak
    metric: str
    seeds: Sequence[float] = ()
    seeds_metric: str = "mase"
    commands: Mapping[str, str] = field(default_factory=dict)


def markdown(card: Card) -> str:
    """The card."""
    parts = [
        f"# {card.title}\n\n{card.summary}",
        f"{SECTION}Data\n\n{_facts(card.data)}",
        f"{SECTION}Model\n\n```yaml\n{card.model.strip()}\n```",
        f"{SECTION}Protocol\n\n{_facts(card.protocol)}",
        f"{SECTION}Scores\n\n{_scores(card)}",
        f"{SECTION}Intervals\n\n{_coverage(card)}",
        f"{SECTION}Weak spots\n\n{_weak(card.weak)}",
        f"{SECTION}Seeds\n\n{_spread(card)}",
        f"{SECTION}Reproduce\n\n{_commands(card.commands)}",
    ]
    return "\n".join(parts) + "\n"


def judged(card: str, verdict: str, checks: Iterable[Check]) -> str:
    """A card with what the gate said, in place of what it had said before.

    Args:
        verdict: in a sentence.
    """
    rows = [["passed" if c.passed else "**failed**", c.name, c.reason] for c in checks]
    return _first(card, GATE, f"{verdict}\n\n{_table(['', 'check', 'reason'], rows)}")


def not_proposed(card: str, verdict: str, reasons: Iterable[str]) -> str:
    """A card with why its model never came before the gate, in place of what the gate had said before."""
    return _first(card, GATE, "\n".join([verdict, "", *(f"- {reason}" for reason in reasons)]))


def moved(card: str, lines: Iterable[str]) -> str:
    """A card with when the version became and ceased to be champion and why, in place of what it had said before."""
    return _first(card, MOVES, "\n".join(f"- {line}" for line in lines))


def _first(card: str, heading: str, body: str) -> str:
    kept = [part for part in _sections(card) if not part.startswith(f"{SECTION}{heading}\n")]
    return "".join([kept[0].rstrip("\n") + "\n", f"{SECTION}{heading}\n\n{body}\n", *kept[1:]])


def short(card: str, most: int) -> str:
    """A card in ``most`` characters: sections that matter less are left out, whole, and named."""
    head, *sections = _sections(card)
    names = [part.removeprefix(SECTION).partition("\n")[0] for part in sections]
    keep = set(names)
    for name in (*(n for n in names if n not in KEPT), *reversed(KEPT)):
        if len(_only(head, sections, names, keep)) <= most:
            break
        keep.discard(name)
    return _only(head, sections, names, keep)[:most]


def _only(head: str, sections: Sequence[str], names: Sequence[str], keep: set[str]) -> str:
    left = [name for name in names if name not in keep]
    told = f"\nLeft out here, and in `card.md` of the model's run: {', '.join(left)}.\n" if left else ""
    return "".join([head, *(s for s, name in zip(sections, names, strict=True) if name in keep), told])


def _sections(card: str) -> list[str]:
    head, *rest = card.split(SECTION)
    return [head, *(SECTION + part for part in rest)]


def _facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value not in (None, ""))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _scores(card: Card) -> str:
    wanted = [c for c in ("mae", "mase", "crps", "coverage_80", "coverage_95", "skill") if c in card.board]
    rows = []
    for line in card.board.to_dict("records"):
        name = f"**{line['model']}**" if line["model"] == card.name else str(line["model"])
        kind = "baseline" if line["model"] in card.baselines else ""
        rows.append([name, kind, *(figure(line[c]) for c in wanted)])
    own = card.board.set_index("model")[card.metric]
    others = [b for b in own.index if b in card.baselines and b != card.name]
    gains = [f"{100 * (1 - own[card.name] / own[b]):+.1f} % on {b}" for b in others if own[b]]
    beside = f"\n\nBetter in {card.metric} by: {', '.join(gains)}." if gains else ""
    return f"{_table(['model', '', *wanted], rows)}{beside}"


def _coverage(card: Card) -> str:
    shares = [c for c in map(str, card.by_step.columns) if c.startswith("coverage_")]
    if not shares:
        return "None: it has no intervals."
    line = card.board.set_index("model").loc[card.name]
    told = [f"- {c.removeprefix('coverage_')} % intervals held {line[c]:.1%} of what came" for c in shares if c in line]
    of = card.by_step.set_index("step")
    told += [
        f"- by step, {c.removeprefix('coverage_')} %: least {of[c].min():.1%} (step {of[c].idxmin()}), most "
        f"{of[c].max():.1%} (step {of[c].idxmax()})"
        for c in shares
        if len(of) > 1
    ]
    return "\n".join(told)


def _weak(weak: Weak) -> str:
    worst, worse = weak.days.to_dict("records"), weak.kinds.to_dict("records")
    days = [[f"{line['ds']:%Y-%m-%d}", str(line["about"]), f"{line['error']:.1%}"] for line in worst]
    kinds = [[str(line["kind"]), str(line["timestamps"]), f"{line['error']:.1%}"] for line in worse]
    out = [
        f"Errors as shares of the series' mean, {weak.error:.1%} over all.",
        _table(["worst", "what it was", "error"], days),
    ]
    out += [_table(["worse than the mean", "timestamps", "error"], kinds)] if kinds else []
    return "\n\n".join(out)


def _spread(card: Card) -> str:
    if len(card.seeds) < 2:
        return "No spread is known: one seed, a model without any, or a blend."
    each = np.asarray(card.seeds)
    own = card.board.set_index("model")[card.seeds_metric][card.name]
    return (
        f"{len(each)} networks that differ by their seed, {card.seeds_metric} of each: "
        f"{', '.join(figure(value) for value in each)} (mean {figure(float(each.mean()))}, standard deviation "
        f"{figure(float(each.std(ddof=1)))}); of their mean forecast {figure(own)}."
    )


def _commands(commands: Mapping[str, str]) -> str:
    width = max((len(command) for command in commands.values()), default=0)
    lines = [f"{command:<{width}}  # {what}" for what, command in commands.items()]
    return "\n".join(["```bash", *lines, "```"])


def figure(value: float) -> str:
    """A figure in three or more significant digits, thousands apart."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) >= 0.1 else f"{value:.3g}"
