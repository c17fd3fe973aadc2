"""What a replayed life came to, beside the first champion's without any training, and the seasonal naive."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from daycast.adapters import registry, store
from daycast.adapters import report as pictures
from daycast.core import realised
from daycast.steps.data import arrays
from daycast.steps.diary import Day
from daycast.steps.living import Life
from daycast.steps.outcomes import ReplayedRef
from daycast.steps.trial import KEYS

THREE = ("living", "frozen", "naive")
SMOOTHED = 7  # days


def report(life: Life, days: Sequence[Day], frozen: registry.Version) -> ReplayedRef:
    """Leave ``report.md``, ``life.png``, ``events.csv``, ``months.csv`` and ``rows.csv`` in the replay's folder.

    Args:
        days: that were lived, the day of the first training first.
        frozen: the first champion.
    """
    dataset, folder = life.config.dataset, life.settings.state
    rows = _rows(life, days, frozen)
    table = realised.errors(rows, THREE)
    events = pd.DataFrame([event.model_dump() for day in days for event in day.events])
    rows.to_csv(folder / "rows.csv", index=False)
    table.to_csv(folder / "errors.csv", index=False)
    events.to_csv(folder / "events.csv", index=False)
    first, last = days[1].day, days[-1].day
    title = f"{dataset.title}: a pipeline's life, {first} to {last}, means over {SMOOTHED} days"
    smooth = realised.by_day(rows, THREE, SMOOTHED)
    picture = pictures.life(smooth, events, title, dataset.unit, folder / "life.png")
    whole = table.iloc[0]
    counts = events["kind"].value_counts()
    made = ReplayedRef(
        dataset=dataset.name,
        first=str(first),
        last=str(last),
        n_days=len(days) - 1,
        n_rows=int(whole["n_rows"]),
        **{name: float(whole[name]) for name in (*THREE, "skill_frozen", "skill_naive")},
        n_alarms=int(counts.get("alarm", 0)),
        n_trainings=int(events["trained"].notna().sum()),
        n_promotions=int(counts.get("promotion", 0)),
        n_refusals=int(counts.get("refusal", 0)),
        n_rollbacks=int(counts.get("rollback", 0)),
        report=str(folder / "report.md"),
        picture=str(picture),
        events=str(folder / "events.csv"),
        rows=str(folder / "rows.csv"),
    )
    (folder / "report.md").write_text(_markdown(life, made, table, events), encoding="utf-8")
    return made


def _rows(life: Life, days: Sequence[Day], frozen: registry.Version) -> pd.DataFrame:
    """Rows that have matured, of what was forecast each morning, with the two others' forecasts of the same."""
    dataset, last = life.config.dataset, days[-1].day
    by = {pd.Timestamp(day.day): day.forecast_by for day in days[1:]}
    with store.opened(life.settings.store_url) as engine:
        made = store.read_forecasts(engine, dataset.name)
    made = made[made["cutoff"].dt.normalize().map(by) == made["model_version"]]
    rows = realised.matured(made, arrays(life.settings, dataset.spec(), life.data.until(last)).panel)
    other = life.stretches.rows(frozen, pd.DatetimeIndex(rows["cutoff"].unique()))
    both = rows.merge(other[[*KEYS, "y_hat"]].rename(columns={"y_hat": "frozen"}), on=KEYS, validate="1:1")
    chosen = [*KEYS, "step", "y", "living", "frozen", "naive", "model_version"]
    return both.rename(columns={"y_hat": "living"})[chosen]


def _markdown(life: Life, made: ReplayedRef, table: pd.DataFrame, events: pd.DataFrame) -> str:
    unit, config = life.config.dataset.unit, life.config
    lines = [
        f"# A pipeline's life: {config.dataset.title}, {made.first} to {made.last}",
        "",
        f"{made.n_days} days, each forecast {config.backtest.horizon} steps ahead from what was known by its end; "
        f"{made.n_rows:,} rows judged. Mean absolute errors in {unit}, at the same rows for all three.",
        "",
        "![life](life.png)",
        "",
        "| | living | first champion, frozen | seasonal naive | skill against frozen | against naive |",
        "|---|---|---|---|---|---|",
        *(_line(line) for line in table.to_dict("records")),
        "",
        f"Trained {made.n_trainings} times: {made.n_promotions} promotions, {made.n_refusals} refusals, "
        f"{made.n_rollbacks} rollbacks; {made.n_alarms} alarms.",
        "",
        "| day | what | version | model | why |",
        "|---|---|---|---|---|",
    ]
    for event in events.astype(object).where(events.notna(), None).to_dict("records"):
        why = event["reason"] if event["trained"] is None else f"{event['trained']}. {event['reason']}"
        told = (event["day"], event["kind"], event["version"] or "", event["model"] or "", why.replace("|", "/"))
        lines.append(f"| {' | '.join(map(str, told))} |")
    models = ", ".join(config.model)
    names = ("backtest", "tuning", "promotion", "monitoring")
    chosen = ", ".join(f"{name} {getattr(config, name).name}" for name in names)
    note = "Observations are as revised since: there is no history of the data day by day. Trainings take no time."
    lines += ["", f"Models: {models}; {chosen}. Data version {life.data.version}. {note}", ""]
    return "\n".join(lines)


def _line(line: dict[str, object]) -> str:
    errors = " | ".join(f"{line[name]:,.0f}" for name in THREE)
    skills = " | ".join(f"{100 * float(str(line[name])):+.1f} %" for name in ("skill_frozen", "skill_naive"))
    return f"| {line['name']} | {errors} | {skills} |"
