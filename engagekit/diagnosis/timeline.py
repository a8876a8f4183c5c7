"""One user's days: what journeys hold of them, in order, and the rule that labelled them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit._base import day, many
from engagekit.diagnosis.labels import RULES, TOO_EARLY_ROW, label_users
from engagekit.diagnosis.links import meets_depth_rule
from engagekit.errors import ParameterError, private
from engagekit.instants import AT, day_of, local_day
from engagekit.journeys import LONGEST, check_journeys, on_advanced_days, windows_of
from engagekit.log import open_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

    Happened = dict[str, Any]
    Decisive = set[tuple[str, str, date | None]]

DAY_US = 86_400_000_000
TIMELINE: dict[str, Any] = {
    "day": pl.Date,
    "days_in": pl.Int64,
    "at": AT,
    "until": AT,
    "kind": pl.String,
    "what": pl.String,
    "times": pl.Int64,
    "decides": pl.Boolean,
    "note": pl.String,
}
# In this order where several stand at one instant.
KINDS = (
    "sign-up", "step reached", "step completed", "activation", "core", "advanced", "advocacy", "outreach",
    "feedback asked", "feedback given", "errors", "support", "event", "label",
)  # fmt: skip
LABEL = KINDS[-1]
NOT_LABELLED = "not labelled"


def timeline(journeys: Journeys, user: Any, *, events: Frame | None = None) -> pl.DataFrame:
    """Show what one user did, on which days and how often, and which rule labelled them.

    Parameters
    ----------
    journeys
        Journeys, in memory or on disk.
    user
        The `user_id`, of the log's own type.
    events
        The event log; with it every event of the user from sign-up to `as_of` stands in the answer, in place of
        what journeys keep of the first days.

    Returns
    -------
    DataFrame
        Sorted by time: `day` (local day); `days_in` (whole days of 24 hours since the sign-up, negative before it);
        `at` and `until` (first and last instant of it on that day, UTC); `kind` (sign-up, step reached, step
        completed, activation, core, advanced, advocacy, outreach, feedback asked, feedback given, errors, support,
        event or label); `what` (the step, the advanced action or the event; for other kinds the kind itself); `times`
        (how often that day; for an event of the first days, how often in all of them, from the first time on);
        `decides` (the rule that labelled the user looks at this row); `note` in words. The last row is of kind
        label, at the last day before `as_of`: `what` is the label, `note` the rule and what it found. The user's id
        is not in it.

    Raises
    ------
    ParameterError
        These are no journeys, or they hold no such user.

    Notes
    -----
    Journeys keep counts per day and role, not events: what a product logs beside its roles is known by name for the
    first days only, and an action that bears a role stands among them once more under its name. Users who signed up
    before the log are not labelled; what is kept of their days is shown.

    References
    ----------
    Labels: the table "If users ... Then the problem is ..." of the user engagement guide; see `label_users`.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime
    >>> rows = [("ann", "join", 1), ("ann", "make", 2), ("ann", "make", 2), ("bob", "join", 1)]
    >>> log = pl.DataFrame([(u, e, datetime(2026, 1, d, 9)) for u, e, d in rows], schema=["user_id", "event", "at"], orient="row")
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"), as_of="2026-03-01")
    >>> days = timeline(journeys, "ann")
    >>> days.filter(pl.col("kind") != "event").select("days_in", "kind", "times", "decides").rows()
    [(0, 'sign-up', 1, False), (1, 'activation', 1, True), (1, 'core', 2, False), (58, 'label', None, True)]
    >>> days["note"][-1]
    'Activate once and vanish: activated on 2026-01-02, and no core action on a later day, 14 days having passed.'
    """
    check_journeys(journeys)
    mine = _only(journeys, user)
    person = mine.users.lazy().collect()
    known = person if person.height else mine.late.lazy().collect()
    one = known.row(0, named=True)
    happened = [*_milestones(one), *_steps(mine), *_days(mine)]
    happened += _first_days(mine) if events is None else _events(mine, one, events)
    if person.height:
        label = label_users(mine).row(0, named=True)
        said, decisive = _rule(mine, one, label)
        for row in happened:
            row["decides"] = (row["kind"], row["what"], row.get("day")) in decisive
    else:
        label = {"label": NOT_LABELLED}
        said = "Signed up before the log begins, so links and labels leave this user out."
    last = mine.as_of - timedelta(microseconds=1)
    ending = _row(last, LABEL, label["label"], times=None) | {"decides": True, "note": said}
    return _in_order([*happened, ending], mine, one)


def _only(journeys: Journeys, user: Any) -> Journeys:
    """Narrow the journeys to one user, or say that there is none."""
    kind = journeys.users.lazy().collect_schema()["user_id"]
    try:
        same = pl.col("user_id") == pl.lit(pl.Series([user]).cast(kind).item(), kind)
        fits = pl.Series([user]).dtype.is_integer() == kind.is_integer()
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        fits = False
    if not fits:
        raise ParameterError(
            f"user is {private(user)}, a {type(user).__name__}; the ids of these journeys are {kind}."
        )
    mine = journeys.where(users=same)
    if not any(t.lazy().select(pl.len()).collect().item() for t in (mine.users, mine.late)):
        raise ParameterError(
            f"these journeys hold no user {private(user)}. Ids are taken exactly as they stand in `journeys.users`; "
            "users without a sign-up are left out, and `journeys.left_out` counts them."
        )
    return mine


def _row(at: datetime, kind: str, what: str | None = None, times: int | None = 1) -> Happened:
    return {"at": at, "until": at, "kind": kind, "what": what or kind, "times": times}


def _milestones(one: Happened) -> list[Happened]:
    found = {"sign-up": one["signed_up_at"], "activation": one["activated_at"]}
    return [_row(at, kind) for kind, at in found.items() if at is not None]


def _steps(journeys: Journeys) -> list[Happened]:
    names = [step.name for step in journeys.definition.steps]
    found = []
    for row in journeys.steps.lazy().collect().iter_rows(named=True):
        name, done = names[row["step"]], row["completed_at"]
        reached = _row(row["reached_at"], "step reached", name)
        again = row["last_reached_at"]
        notes = [f"last on {day(again)}"] if again > row["reached_at"] else []
        notes += ["not completed so far"] if done is None else []
        found.append(reached | {"note": ", ".join(notes) or None})
        found += [] if done is None else [_row(done, "step completed", name)]
    return found


def _days(journeys: Journeys) -> list[Happened]:
    found = []
    for row in journeys.days.lazy().collect().iter_rows(named=True):
        role, _, action = str(row["role"]).partition(":")
        made = _row(row["first_at"], role.replace("_", " "), action, row["times"])
        found.append(made | {"day": row["day"], "until": row["last_at"]})
    return found


def _first_days(journeys: Journeys) -> list[Happened]:
    found = []
    for row in journeys.early.lazy().collect().iter_rows(named=True):
        on = [str(k) for k in range(LONGEST) if row["days"] >> k & 1]
        note = f"on {'day' if len(on) == 1 else 'days'} {', '.join(on)} since sign-up"
        made = _row(row["first_at"], "event", row["event"], row["times"])
        found.append(made | {"until": None if row["times"] > 1 else made["at"], "note": note})
    return found


def _events(journeys: Journeys, one: Happened, events: Frame) -> list[Happened]:
    log, _ = open_log(events)
    mine = log.filter(
        pl.col("user_id") == pl.lit(one["user_id"], log.collect_schema()["user_id"]),
        pl.col("at") < pl.lit(journeys.as_of, AT),
    )
    early = {"note": "before the sign-up: not counted"}
    signed = one["signed_up_at"]
    return [
        _row(at, "event", str(event)) | (early if signed is not None and at < signed else {})
        for event, at in mine.select("event", "at").collect().iter_rows()
    ]


def _rule(journeys: Journeys, one: Happened, label: Happened) -> tuple[str, Decisive]:
    """Say which rule labelled the user and what it found, and which rows it looked at."""
    name = label["label"]
    if_users = next((rule.if_users for rule in RULES if rule.label == name), TOO_EARLY_ROW[0])
    found, rows = _FOUND[name](journeys, one, label)
    return f"{if_users}: {found}.", rows


def _too_early(journeys: Journeys, one: Happened, _: Happened) -> tuple[str, Decisive]:
    windows, zone = windows_of(journeys.definition), journeys.timezone
    began = one["activated_at"] or one["signed_up_at"]
    link = "activation" if not one["activated_at"] else "depth" if _returned(one, zone) else "habit"
    over = day_of(began + timedelta(days=windows[link]), zone)
    kind = "sign-up" if link == "activation" else "activation"
    said = f"the {many(windows[link], 'day')} for {link} are over on {day(over)}"
    return said, {(kind, kind, None)}


def _vanished(journeys: Journeys, one: Happened, _: Happened) -> tuple[str, Decisive]:
    on, habit = day_of(one["activated_at"], journeys.timezone), windows_of(journeys.definition)["habit"]  # fmt: skip
    said = f"activated on {day(on)}, and no core action on a later day, {habit} days having passed"
    return said, {("activation", "activation", None)}


def _not_begun(journeys: Journeys) -> str:
    return (
        f"not activated, {many(windows_of(journeys.definition)['activation'], 'day')} having passed"
    )


def _stalled(journeys: Journeys, _: Happened, __: Happened) -> tuple[str, Decisive]:
    names = [step.name for step in journeys.definition.steps]
    there = journeys.steps.lazy().collect()["step"]
    opened = f"completed {many(len(there), 'step')} and opened no other" if names else "but active after the sign-up"  # fmt: skip
    return f"{_not_begun(journeys)}; {opened}", {("step completed", names[k], None) for k in there}


def _friction(journeys: Journeys, _: Happened, label: Happened) -> tuple[str, Decisive]:
    step = str(label["step"])
    said = f"{_not_begun(journeys)}; reached {step!r} and did not complete it"
    return said, {("step reached", step, None)}


def _never_started(journeys: Journeys, _: Happened, __: Happened) -> tuple[str, Decisive]:
    what = "no step reached" if journeys.definition.steps else "nothing done after the sign-up"
    return f"{_not_begun(journeys)}, and {what}", {("sign-up", "sign-up", None)}


def _plateau(journeys: Journeys, one: Happened, _: Happened) -> tuple[str, Decisive]:
    last, uses = _last_core(journeys, one), journeys.definition.depth_uses
    within = windows_of(journeys.definition)["depth_within"]
    said = f"keeps coming, last on {last}; no advanced action on {many(uses, 'day')} within {many(within, 'day')}"
    return said, {("core", "core", last)}


def _drift(journeys: Journeys, one: Happened, label: Happened) -> tuple[str, Decisive]:
    last, gap, longest = _last_core(journeys, one), label["usual_gap"], label["longest_gap"]
    beyond = f", and longer than the longest they came back from, {longest:.1f}" if longest > 0 else ""  # fmt: skip
    said = (
        f"silent since {last}, for {many(label['silence_days'], 'day')} ({label['silence']:.1f} in product time), "
        f"{label['times_usual']:.1f} times the usual gap of {gap:.1f}{beyond}"
    )
    return said, {("core", "core", last)}


def _last_core(journeys: Journeys, one: Happened) -> date:
    return day_of(one["last_core_at"], journeys.timezone)


def _returned(one: Happened, zone: str) -> bool:
    last = one["last_core_at"]
    return last is not None and day_of(last, zone) > day_of(one["activated_at"], zone)


def _healthy(journeys: Journeys, _: Happened, __: Happened) -> tuple[str, Decisive]:
    """Find the first days on which the depth rule was met, and those that led to it."""
    uses = on_advanced_days(journeys).sort("action", "day").collect()
    met = meets_depth_rule(uses.lazy(), journeys.definition).sort("day", "action").collect()
    action, last = met.select("action", "day").row(0)
    same = uses.filter(pl.col("action") == action, pl.col("day") <= last)["day"]
    needed = same.tail(journeys.definition.depth_uses).to_list()
    apart = (needed[-1] - needed[0]).days
    said = f"{action!r} on {many(len(needed), 'day')}, {many(apart, 'day')} apart, by {day(last)}"
    return said, {("advanced", action, each) for each in needed}


_FOUND: dict[str, Callable[[Journeys, Happened, Happened], tuple[str, Decisive]]] = {
    "too_early": _too_early,
    "vanished": _vanished,
    "stalled": _stalled,
    "friction": _friction,
    "never_started": _never_started,
    "plateau": _plateau,
    "drift": _drift,
    "healthy": _healthy,
}


def _in_order(rows: list[Happened], journeys: Journeys, one: Happened) -> pl.DataFrame:
    place = pl.col("kind").replace_strict(KINDS, range(len(KINDS)), return_dtype=pl.Int8)
    began = pl.lit(one["signed_up_at"], AT)
    frame = pl.DataFrame([dict.fromkeys(TIMELINE) | row for row in rows], schema=TIMELINE)
    told = frame.with_columns(
        pl.coalesce("day", local_day(pl.col("at"), journeys.timezone)).alias("day"),
        pl.col("decides").fill_null(value=False),
        # Rounded down: the day before the sign-up is day -1.
        (pl.col("at") - began).dt.total_microseconds().floordiv(DAY_US).alias("days_in"),
    )
    ends = pl.col("kind") == LABEL
    return told.sort(ends, "at", place, "what", maintain_order=True).select(*TIMELINE)
