"""The reading of a test: did the arm with the play do better, whether the split is sound, and what else moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from engagekit._base import Remark, as_html, many, plain_fields
from engagekit.definition import share_faults
from engagekit.diagnosis import defined_links
from engagekit.errors import ParameterError, check_choice, listing, nearest
from engagekit.journeys import check_journeys, gathered, group_names
from engagekit.review.arm_rows import COLUMNS, GUARDS, Arm, arm_row, counted, guard_rows, split_of
from engagekit.review.arms import CORE_DAYS, arms_of
from engagekit.review.experiment_words import sentence_of
from engagekit.sequential import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engagekit.journeys import Journeys

Verdict = Literal[
    "better",
    "worse",
    "no difference that matters",
    "cannot tell yet",
    "stop: the split is off",
]
CONTROLS = ("control", "off", "baseline", "holdout", "a", "false", "0")
FEW_ACCOUNTS = 20  # in an arm; with fewer, how alike accounts are cannot be told
ALPHA = 0.05


@dataclass(frozen=True, repr=False)
class Experiment:
    """What a test says so far.

    `verdict` is ``"better"``, ``"worse"``, ``"no difference that matters"``, ``"cannot tell yet"`` or
    ``"stop: the split is off"``, of `variant` against `control`, on `link`. `difference` lies from `low` to `high` on
    this one day (Newcombe, 95 %), and from `low_any_time` to `high_any_time` however often one looks; `p` and
    `p_any_time` are the chances of as much without an effect, in the same two senses, over all arms (Holm). `adjusted`
    is the difference with the past of users taken off (null without a past), `narrowed` by how much that narrows the
    any-time interval. `p_split`: the chance of a split as far off; `crossed`: users seen in several arms, set apart.
    `table` has a row for each arm, `guardrails` one for each later link, for errors and for support, `segments` (with
    `by`) each group's rows. `remarks` are what to bear in mind; `sentence` can be read aloud.
    """

    verdict: Verdict
    link: str
    control: str
    variant: str
    difference: float | None
    low: float | None
    high: float | None
    low_any_time: float | None
    high_any_time: float | None
    p: float | None
    p_any_time: float | None
    adjusted: float | None
    narrowed: float | None
    p_split: float
    crossed: int
    table: pl.DataFrame
    guardrails: pl.DataFrame
    segments: pl.DataFrame | None
    sentence: str
    remarks: tuple[Remark, ...]

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence

    def __repr__(self) -> str:
        """Say what was found, in short."""
        return (
            f"Experiment({self.variant!r} against {self.control!r} on {self.link}: {self.verdict})"
        )

    def _repr_html_(self) -> str:
        return as_html(self.sentence, self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values that JSON can hold."""
        return plain_fields(self)


def experiment(
    journeys: Journeys,
    *,
    variant: str | None = None,
    control: str | None = None,
    link: str = "habit",
    shares: Mapping[str, float] | None = None,
    by: str | Sequence[str] | None = None,
) -> Experiment:
    """Say whether users who were given a play did better than those who, by lot, were not.

    ``difference = share of the arm - share of the control``, of users who had not passed the link when assigned and
    whose window since then is over; with Newcombe's interval, and with one that holds at every look at once
    (`engagekit.sequential.any_time`).

    Parameters
    ----------
    journeys
        Journeys whose users have an arm.
    variant
        The property of users with the arm's name. None: what the definition's `experiment` reads from the log.
    control
        The arm without the play. None: the definition's, or the one named control, off, baseline, holdout or a.
    link
        The link the play is to mend, or ``"core_days"``: days with a core action within 28 days.
    shares
        The share of users meant for each arm. None: the definition's, or equal shares.
    by
        A property of users, or a list: each group is read for itself too.

    Returns
    -------
    Experiment
        See there. `table`: `variant`, `users` (assigned), `crossed`, `already` (had passed the link), `too_early`, `n`,
        `of`, `rate`, `low`, `high` (for core days: their sum, users, mean), `difference`, `difference_low`,
        `difference_high`, `low_any_time`, `high_any_time`, `p`, `p_any_time`, `adjusted`, `narrowed`, `design_effect`,
        `verdict`. `guardrails`: `guardrail`, `variant`, `n`, `of`, `rate`, `difference`, `low`, `high` (at every look),
        `harmed`.

    Raises
    ------
    ParameterError
        No arms are known, fewer than two have users, or `control`, `link`, `shares` or `by` do not fit.

    Notes
    -----
    Everyone assigned counts, whether or not they met the play. The window of a link starts at the assignment: its own
    for users active by then, the whole span from sign-up to the link for the others. Users of one account count as
    alike as they are; where whole accounts were assigned, accounts are what was split. The verdict rests on the
    any-time interval, so a team may look every day and stop when it likes: over all looks, at most 5 % of tests without
    any effect are ever called better or worse. It is wider than Newcombe's, which holds only on a day fixed before.
    Where half of the users had a past, the past's core days are taken off first (CUPED). A split that is off by more
    than chance stops the reading: whatever removed users from one arm may have chosen them.

    References
    ----------
    Newcombe (1998); Howard et al. (2021) and Waudby-Smith et al. (2024) for the any-time interval; Lindon and Malek
    (2022) for the split; Deng et al. (2013) for CUPED; Holm (1979); Kish (1965) for accounts.

    Examples
    --------
    >>> import engagekit as ek
    >>> from datetime import datetime, timedelta
    >>> rows = [(user, event, datetime(2026, 1, 1) + timedelta(days=user // 40, hours=hour)) for user in range(1600)
    ...         for event, hour in [("join", 0), ("make", 5)][: 1 + (user // 2 % 4 < 1 + user % 2)]]
    >>> log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    >>> arms = pl.DataFrame({"user_id": range(1600), "arm": ["tour" if user % 2 else "off" for user in range(1600)]})
    >>> journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"), users=arms)
    >>> found = experiment(journeys, variant="arm", link="activation")
    >>> found.verdict, found.table.select("variant", "n", "of").rows()
    ('better', [('off', 130, 520), ('tour', 260, 520)])
    """
    check_journeys(journeys)
    column, lone, meant = _column(journeys, variant, link, control, shares)
    groups = group_names(journeys, by, taken=list(COLUMNS))
    everyone = gathered(journeys, lambda part: arms_of(part, column, link, keep=groups)).collect()
    arms, chosen, remarks = _arms(everyone, lone, meant)
    split = split_of(everyone, arms, meant or dict.fromkeys(arms, 1 / len(arms)))
    margin = getattr(journeys.definition, "margin", 0.02)
    table, guards, harmed = _read(everyone, arms, chosen, link, margin)
    off = split.off
    best = _best(table.filter(pl.col("variant") != chosen), off=off)
    remarks += _remarks(everyone, table, split.units, link)
    segments = (
        _segments(everyone, groups, arms, chosen, link, margin) if groups and not off else None
    )
    told = sentence_of(table, best, chosen, link, journeys.definition, harmed, split)
    if off:
        table, best = _hidden(table), _hidden(pl.DataFrame([best])).row(0, named=True)
        guards = guards.head(0)
    return Experiment(
        verdict=best["verdict"],
        link=link,
        control=chosen,
        variant=best["variant"],
        difference=best["difference"],
        low=best["difference_low"],
        high=best["difference_high"],
        low_any_time=best["low_any_time"],
        high_any_time=best["high_any_time"],
        p=best["p"],
        p_any_time=best["p_any_time"],
        adjusted=best["adjusted"],
        narrowed=best["narrowed"],
        p_split=min(1.0, 1 / split.worst),
        crossed=int(table["crossed"].sum()),
        table=table,
        guardrails=guards,
        segments=segments,
        sentence=told,
        remarks=tuple(remarks),
    )  # fmt: skip


def _column(
    journeys: Journeys,
    variant: str | None,
    link: str,
    control: str | None,
    shares: Mapping[str, float] | None,
) -> tuple[str, str | None, Mapping[str, float] | None]:
    """Find the column with the arms, the control and the intended shares; refuse what does not fit, all at once."""
    known, test = journeys.properties, journeys.definition.experiment
    faults = check_choice("link", link, [*defined_links(journeys.definition), CORE_DAYS])
    faults += [] if shares is None else share_faults(shares)
    if variant is None and test is None:
        faults.append(
            "no arms are known: give variant=, a property of users, or write experiment = ek.Assignment(event) into "
            "the definition."
        )
    column = "variant" if variant is None else variant
    if (variant is not None or test is not None) and column not in known:
        faults.append(
            f"variant is {column!r}, which is no property of users; there is {listing(known) or 'none'}."
            f"{nearest(str(column), known)}"
        )
    if faults:
        raise ParameterError.from_faults("The test cannot be read", faults)
    if variant is None and test is not None:
        control = test.control if control is None else control
        shares = test.shares if shares is None else shares
    return column, control, shares


def _arms(
    everyone: pl.DataFrame, control: str | None, meant: Mapping[str, float] | None
) -> tuple[list[str], str, list[Remark]]:
    """Name the arms, the control among them, and what was taken for granted."""
    arms = sorted(everyone["arm"].unique())
    faults = []
    if len(arms) < 2:
        faults.append(f"the users have {len(arms)} arm{'' if len(arms) == 1 else 's'}; a test takes two or more.")  # fmt: skip
    if control is not None and control not in arms:
        faults.append(f"control is {control!r}; the arms are {listing(arms)}.{nearest(str(control), arms)}")  # fmt: skip
    if meant is not None and set(meant) != set(arms):
        faults.append(f"shares names {listing(sorted(meant))}; the arms are {listing(arms)}.")
    if faults:
        raise ParameterError.from_faults("The test cannot be read", faults)
    if control is not None:
        return arms, control, []
    known = [arm for name in CONTROLS for arm in arms if arm.lower() == name]
    chosen = (known or arms)[0]
    if known:
        return arms, chosen, []
    text = f"No control is named, so {chosen!r}, the first by name, stands for it; say control=."
    return arms, chosen, [Remark("control guessed", (chosen,), text)]


def _read(
    everyone: pl.DataFrame, arms: list[str], control: str, link: str, margin: float
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Compare every arm with the control; the level of the any-time interval is shared among them."""
    alpha = ALPHA / (len(arms) - 1)
    of_arm = {arm: counted(everyone.filter(pl.col("arm") == arm)) for arm in arms}
    ordered = [control, *[arm for arm in arms if arm != control]]
    rows = [arm_row(arm, of_arm[arm], of_arm[control] if arm != control else None, link, margin, alpha) for arm in ordered]  # fmt: skip
    for name in ("p", "p_any_time"):
        told = [row for row in rows[1:] if row[name] is not None]
        for row, adjusted in zip(told, holm([row[name] for row in told]), strict=True):
            row[name] = adjusted
    for row in rows[1:]:
        row["verdict"] = _verdict(row, of_arm[row["variant"]], of_arm[control], margin, link)
    table = pl.DataFrame(rows, schema=COLUMNS)
    guards = pl.DataFrame(guard_rows(of_arm, ordered, margin, ALPHA), schema=GUARDS)
    return table, guards, guards.filter("harmed")


def _verdict(row: dict[str, Any], arm: Arm, control: Arm, margin: float, link: str) -> Verdict:
    if row["difference"] is None or min(arm.clusters, control.clusters) < FEW_ACCOUNTS:
        return "cannot tell yet"
    if link != CORE_DAYS and -margin < row["low_any_time"] and row["high_any_time"] < margin:
        return "no difference that matters"
    if row["p_any_time"] > ALPHA:
        return "cannot tell yet"
    moved = row["difference"] if row["adjusted"] is None else row["adjusted"]
    return "better" if moved > 0 else "worse"


def _best(treated: pl.DataFrame, *, off: bool) -> dict[str, Any]:
    """Take the arm that decides: the best of the better ones; else who is worse, where all are; else the largest."""
    rows = sorted(treated.to_dicts(), key=lambda row: -(row["difference"] or 0.0))
    if off:
        return rows[0] | {"verdict": "stop: the split is off"}
    verdicts = {row["verdict"] for row in rows}
    for verdict in ("better", "cannot tell yet", "no difference that matters"):
        if verdict in verdicts:
            return next(row for row in rows if row["verdict"] == verdict)
    return rows[0]


def _hidden(table: pl.DataFrame) -> pl.DataFrame:
    told = ["difference", "difference_low", "difference_high", "low_any_time", "high_any_time", "p", "p_any_time",
            "adjusted", "narrowed"]  # fmt: skip
    stop = pl.lit("stop: the split is off").alias("verdict")
    return table.with_columns(*[pl.lit(None, pl.Float64).alias(c) for c in told], stop)


def _segments(
    everyone: pl.DataFrame, groups: list[str], arms: list[str], control: str, link: str, margin: float
) -> pl.DataFrame:  # fmt: skip
    parts = []
    for values, part in everyone.group_by(groups, maintain_order=True):
        table, _, _ = _read(part, arms, control, link, margin)
        literals = [
            pl.lit(v, everyone.schema[g]).alias(g) for g, v in zip(groups, values, strict=True)
        ]
        parts.append(table.select(*literals, *COLUMNS))
    return pl.concat(parts).sort(*groups, "variant", nulls_last=True)


def _remarks(everyone: pl.DataFrame, table: pl.DataFrame, units: str, link: str) -> list[Remark]:
    found = []
    crossed, already = int(table["crossed"].sum()), int(table["already"].sum())
    if crossed:
        text = f"{many(crossed, 'user')} met more than one arm and {'is' if crossed == 1 else 'are'} left out."
        found.append(Remark("crossed", (), text, crossed, crossed / everyone.height))
    if already:
        text = f"{many(already, 'user')} had passed {link} before being assigned and {'is' if already == 1 else 'are'} left out."
        found.append(Remark("already passed", (link,), text, already, already / everyone.height))
    mixed = (
        everyone.drop_nulls("account").group_by("account").agg(pl.col("arm").n_unique(), pl.len())
    )
    spilling = mixed.filter(pl.col("arm") > 1)
    if spilling.height and units == "users":
        users = int(spilling["len"].sum())
        text = (
            f"{many(spilling.height, 'account')} {'has' if spilling.height == 1 else 'have'} members in more than one arm: what one "
            "member meets may reach another, and the difference then comes out too small. Assign whole accounts."
        )
        found.append(Remark("spill-over", (), text, users, users / everyone.height))
    if units == "accounts":
        text = "Whole accounts were assigned, so the split is counted in accounts, and users of one account count as alike as they are."
        found.append(Remark("accounts", (), text))
    return found
