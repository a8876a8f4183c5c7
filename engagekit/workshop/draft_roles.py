"""Which event may play which role, from what each is like; every choice with its numbers and the next best."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import Definition, Step
from engagekit.errors import EventLogError
from engagekit.first_weeks import compare_first_weeks
from engagekit.matchers import All, Match, goals, label
from engagekit.workshop.event_profiles import MILESTONE, NAMED, SIGNUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engagekit.journeys import Journeys
    from engagekit.matchers import Goal

MOST_STEPS, MOST_ADVANCED = 5, 4
NEAR = 0.93  # candidates this near the best count as equals; of equals the last on the way is taken
BETTER = 1.1  # a combination must beat the best single event by this factor
LEAST_REACH, MOST_REACH = 0.02, 0.98
COUNTS = (2, 3, 5)
LEAST_LATER = 28  # days behind the early ones in which users may come back


@dataclass(frozen=True)
class Choice:
    """One proposal: what is meant, why, and what else it may be."""

    role: str
    value: Any
    why: str
    others: tuple[str, ...] = ()


def signup_of(table: pl.DataFrame, users: int) -> Choice:
    """Choose the sign-up: so named and begun with, or, whatever its name, done once by nearly all, and first."""
    rows = table.to_dicts()
    named = [r for r in rows if SIGNUP.search(r["event"]) and not r["ending"]]
    once = [
        r for r in rows
        if r["users"] >= 0.8 * users and r["times"] <= MILESTONE * r["users"] and r["first_of"] >= 0.8 * r["users"]
    ]  # fmt: skip
    ranked = sorted(named or once, key=lambda r: (-r["first_of"], -r["users"], r["event"]))
    if not ranked:
        return Choice("signup", None, "no event is named like a sign-up, or begun with once by nearly all; a user's first event stands for it")  # fmt: skip
    best = ranked[0]
    why = f"{best['first_of']:,} of {users:,} users begin with it"
    return Choice("signup", best["event"], why, tuple(r["event"] for r in ranked[1:3]))


def core_of(table: pl.DataFrame, signup: str | None) -> Choice:
    """Choose the core action: most repeated on other days, presence and what the product does itself aside.

    Raises
    ------
    EventLogError
        No event could be an action.
    """
    rows = [r for r in table.to_dicts() if r["event"] != signup and not r["ending"]]
    if not rows:
        raise EventLogError(
            "The log has no event beside the sign-up, so no core action can be proposed; check what is tracked."
        )
    others = {r["event"] for r in rows if any(p.search(r["event"]) for p in NAMED.values())}
    actions = [r for r in rows if not (r["presence"] or r["system"] or r["event"] in others)]
    best = actions or [r for r in rows if not r["presence"]] or rows
    best = sorted(best, key=lambda r: (-_kept_up(r), -r["repeating"], -r["users"], r["event"]))
    # A pattern of presence alone does not rule out what nothing else comes near to.
    top = best[0]
    why = f"{top['repeating']:,} of the {top['users']:,} users who do it do it again on another day"
    aside = [r["event"] for r in rows if (r["presence"] or r["system"]) and r is not top][:3]
    if top["presence"] or top["system"]:
        why += "; it looks like presence, or like something the product does, but nothing in the log looks more like an action"
    why += f"; not counted as an action (presence, or done by the product): {', '.join(aside)}" if aside else ""  # fmt: skip
    return Choice("core", top["event"], why, tuple(r["event"] for r in best[1:3]))


def _kept_up(row: dict[str, Any]) -> float:
    """Weigh the further days with an event by the share of its users who have any: a step at which users are stuck has few."""
    return float(row["score"] * row["repeating"] / row["users"])


def activation_of(journeys: Journeys, table: pl.DataFrame, core: str) -> Choice:
    """Choose the first meaningful outcome: what best balances how many reach it with who then stays.

    The balance is phi, the correlation of having done it in the first days with coming back for the core action; an action
    after which equally active users stay no more often (adjusted ratio of 1 or less) is passed over. Of near equals the
    last on the way counts. Reach times the ratio itself is no order: for a step that almost everybody who stays took,
    the ratio is unbounded, so the earliest step of all would win.
    """
    known = _early_users(journeys)
    compared = compare_first_weeks(journeys, outcome=known.select("user_id", "retained"))
    facts = {r["event"]: r for r in table.to_dicts()}
    aside = {"(active days)", core, journeys.definition.signup}
    reached = {
        name: known.select((pl.col(name) > 0).mean()).item()
        for name in known.columns
        if name in facts
    }
    rows = [
        r for r in compared.to_dicts()
        if r["action"] in facts and r["action"] not in aside and (r["phi"] or 0) > 0
        and LEAST_REACH <= reached.get(r["action"], 0.0) <= MOST_REACH
        and not (r["adjusted_risk_ratio"] is not None and r["adjusted_risk_ratio"] <= 1)
        and not any(facts[r["action"]][k] for k in ("presence", "system", "ending"))
        and not any(p.search(r["action"]) for p in NAMED.values())
    ]  # fmt: skip
    scored: list[tuple[float, Goal]] = [(_phi(known, r["action"]), r["action"]) for r in rows]
    singles = sorted(scored, key=lambda s: (-s[0], str(s[1])))
    singles = [s for s in singles if s[0] > 0]
    several = _several(known, [str(s[1]) for s in singles[:4]], core, whole=not singles)
    best = singles[0][0] if singles else 0.0
    near = [s for s in singles if s[0] >= NEAR * best]
    near.sort(key=lambda s: -facts[str(s[1])]["place"])
    ranked = near + [s for s in singles if s not in near]
    combined = [s for s in several if s[0] >= BETTER * best and s[0] > 0]
    ranked = combined[:1] + ranked + (combined[1:] if not singles else [])
    if not ranked:
        return Choice("activation", core, "no other action goes with coming back more than the core action does")  # fmt: skip
    phi, chosen = ranked[0]
    reach = known.select(_done(chosen).mean()).item()
    stays = known.filter(_done(chosen))["retained"].mean() or 0.0
    rest = known.filter(~_done(chosen))["retained"].mean() or 0.0
    why = f"{reach:.0%} of {known.height:,} users reach it early; {_percent(stays)} of them come back to the core action later, {_percent(rest)} of the others (phi {phi:.2f})"  # fmt: skip
    others = tuple(label(s[1]) + f" (phi {s[0]:.2f})" for s in ranked[1:3])
    return Choice("activation", chosen, why, others)


def _percent(share: Any) -> str:
    return f"{100 * float(share):.0f}%"


def _early_users(journeys: Journeys) -> pl.DataFrame:
    """Say of each user whose outcome is known how often they did what early, and whether they came back after that.

    That is within the habit window behind the early days, and at least four weeks: the outcome window of a product with a
    slow rhythm lies so late that hardly anything told early is left of it.
    """
    start = journeys.definition.first_days
    end = start + max(LEAST_LATER, journeys.definition.habit_days or 0)
    age = (pl.col("first_at") - pl.col("signed_up_at")).dt.total_days()
    last = (pl.col("last_at") - pl.col("signed_up_at")).dt.total_days()
    users = journeys.users.lazy().collect().select("user_id", "signed_up_at")
    users = users.filter(pl.col("signed_up_at") + pl.duration(days=end) <= pl.lit(journeys.as_of))
    core = journeys.days.lazy().collect().filter(pl.col("role") == "core")
    back = (
        core.join(users, on="user_id")
        .filter(age.is_between(start, end - 1) | last.is_between(start, end - 1))
        .select("user_id").unique().with_columns(retained=pl.lit(value=True))
    )  # fmt: skip
    early = journeys.early.lazy().collect()
    wide = early.pivot("event", index="user_id", values="times")
    found = users.join(back, on="user_id", how="left").join(wide, on="user_id", how="left")
    counts = [c for c in wide.columns if c != "user_id"]
    return found.with_columns(pl.col("retained").fill_null(value=False), pl.col(counts).fill_null(0))  # fmt: skip


def _done(goal: Goal) -> pl.Expr:
    ways = [
        pl.all_horizontal(
            *[pl.max_horizontal([pl.col(m.event) for m in part]) >= times for part, times in parts]
        )
        for parts in goals(goal)
    ]
    return pl.any_horizontal(*ways)


def _phi(known: pl.DataFrame, goal: Goal) -> float:
    names = {m.event for parts in goals(goal) for part, _ in parts for m in part}
    if not known.height or not names <= set(known.columns):
        return 0.0
    found = known.select(pl.corr(_done(goal).cast(pl.Float64), pl.col("retained").cast(pl.Float64))).item()  # fmt: skip
    return float(found) if found is not None and found == found else 0.0


def _several(
    known: pl.DataFrame, names: Sequence[str], core: str, *, whole: bool
) -> list[tuple[float, Goal]]:
    """Try counts and pairs; of the core action itself only where nothing else is to be had."""
    tried: list[Goal] = [Match(name, times=n) for name in names for n in COUNTS]
    tried += [All(*pair) for pair in combinations(names, 2)]
    tried += [Match(core, times=n) for n in COUNTS] if whole else []
    found = [(_phi(known, goal), goal) for goal in tried]
    enough = [
        (phi, goal) for phi, goal in found
        if phi > 0 and known.select(_done(goal).mean()).item() >= LEAST_REACH
    ]  # fmt: skip
    return sorted(enough, key=lambda s: (-s[0], label(s[1])))


def steps_of(events: pl.DataFrame, table: pl.DataFrame, definition: Definition) -> Choice:
    """Find the way to activation: what most who activated did once before it, in their order; pairs by their names."""
    matches = {m.event for parts in goals(definition.activation) for part, _ in parts for m in part}
    firsts = events.group_by("user_id", "event").agg(pl.col("at").min())
    goal = firsts.filter(pl.col("event").is_in(list(matches))).group_by("user_id").agg(pl.col("at").min().alias("goal"))  # fmt: skip
    before = firsts.join(goal, on="user_id").filter(pl.col("at") < pl.col("goal"))
    shares = dict(before.group_by("event").agg(pl.len() / max(1, goal.height)).iter_rows())
    rows = [
        r for r in table.to_dicts()
        if shares.get(r["event"], 0) >= 0.6 and r["times"] <= 2 * r["users"] and r["event"] not in matches
        and r["event"] not in {definition.signup, definition.core} and not (r["system"] or r["ending"])
        and not any(p.search(r["event"]) for p in NAMED.values())
    ]  # fmt: skip
    # In the order of those who went all the way: who stopped at a step did it last of all.
    way = before.filter(pl.col("event").is_in([r["event"] for r in rows])).with_columns(
        place=pl.col("at").rank("average").over("user_id")
    )
    places = dict(way.group_by("event").agg(pl.col("place").mean()).iter_rows())
    rows.sort(key=lambda r: (places[r["event"]], -r["users"], r["event"]))
    steps, taken = [], set()
    for first, then in pairwise([*rows, {"event": ""}]):
        name, follower = first["event"], then["event"]
        if name in taken:
            continue
        paired = _stem(name) == _stem(follower) and bool(_stem(name))
        taken |= {follower} if paired else set()
        steps.append(Step(_title(name), reached=name, completed=follower) if paired else Step(_title(name), completed=name))  # fmt: skip
    chosen = steps[-MOST_STEPS:]
    why = "what at least 60% of those who activated did before, mostly once, in their order"
    return Choice("steps", chosen, why, tuple(s.name for s in steps[:-MOST_STEPS])[:2])


def _stem(name: str) -> str:
    words = name.replace("-", "_").replace(" ", "_").replace(".", "_").split("_")
    return words[0].casefold().removesuffix("s") if len(words) > 1 else ""


def _title(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() or name


def advanced_of(
    events: pl.DataFrame, table: pl.DataFrame, definition: Definition, users: int
) -> Choice:
    """Find the advanced actions: done by few, by people who keep coming, and by most of them on several days."""
    core_days = events.filter(pl.col("event") == str(definition.core)).group_by("user_id").agg(pl.col("at").dt.date().n_unique().alias("d"))  # fmt: skip
    regular = core_days.filter(pl.col("d") >= 3).select("user_id")
    share = (
        events.select("user_id", "event").unique()
        .group_by("event").agg(pl.col("user_id").is_in(regular["user_id"].implode()).mean())
    )  # fmt: skip
    known = dict(share.iter_rows())
    steps = {str(s) for step in definition.steps for s in (step.reached, step.completed)}
    matches = {m.event for parts in goals(definition.activation) for part, _ in parts for m in part}
    rows = [
        r for r in table.to_dicts()
        if r["event"] not in {definition.signup, definition.core, *steps, *matches} and r["users"] <= 0.4 * users
        and r["repeating"] >= 0.5 * r["users"] and r["users"] >= 10 and known.get(r["event"], 0) >= 0.5
        and not (r["presence"] or r["system"] or r["ending"]) and not any(p.search(r["event"]) for p in NAMED.values())
    ]  # fmt: skip
    rows.sort(key=lambda r: (-r["repeating"] / r["users"], r["event"]))
    chosen = [r["event"] for r in rows[:MOST_ADVANCED]]
    why = "done by few, mostly by people with three days of the core action, and by half of them on several days"
    return Choice("advanced", chosen, why, tuple(r["event"] for r in rows[MOST_ADVANCED:][:2]))


def named_of(table: pl.DataFrame, taken: set[str]) -> list[Choice]:
    """Find by name what invites, reminds, asks for and gives feedback, fails and seeks help."""
    found, used = [], set(taken)
    for role in ("feedback_asked", "feedback_given", "outreach", "support", "errors", "advocacy"):
        names = [e for e in table.sort("users", descending=True)["event"] if e not in used and NAMED[role].search(e)]  # fmt: skip
        used |= set(names)
        if names:
            value: Any = names if role == "advocacy" or len(names) > 1 else names[0]
            found.append(Choice(role, value, "by its name" if len(names) == 1 else "by their names"))  # fmt: skip
    return found
