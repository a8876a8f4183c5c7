"""What retained and churned users did in their first weeks: the plain comparison and the honest ones, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engagekit._base import share_faults
from engagekit.errors import ParameterError
from engagekit.first_weeks.rows import (
    COLUMNS,
    GROUPED,
    activity_row,
    asked_for,
    check_controls,
    days_faults,
    finished,
    framed,
    held_to,
    judge,
    named_lever,
    rows_of,
    with_groups,
)
from engagekit.journeys import group_names

if TYPE_CHECKING:
    import polars as pl

    from engagekit.journeys import Journeys
    from engagekit.log import Frame

DEFAULT_DAYS = (1, 2, 3)
# What a list of the strongest takes from the half that chose; all else is from the other.
FROM_CHOOSING = ("tried", "p", "q", "trial_q", "verdict")
MOVED = (
    "thresholds is no longer taken: first weeks count days, not times. Give days, such as days=(1, 2, 3): "
    "on at least so many of the early days."
)


def compare_first_weeks(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    by: str | Sequence[str] | None = None,
    adjust: str | Sequence[str] = (),
    days: Sequence[int] = DEFAULT_DAYS,
    controls: str | Sequence[str] = (),
    core_days: int = 1,
    q: float = 0.05,
    thresholds: None = None,
) -> pl.DataFrame:
    """Say what retained users did in their first days that churned users did not, beyond being more active.

    ``difference = did_retained/n_retained - did_churned/n_churned``; ``risk_ratio = retention_did / retention_not``;
    adjusted: ``Σ a·n0/N / Σ c·n1/N`` (Mantel-Haenszel) over a sequence of trials, one for each early day d: of the users
    active on d who had done the action on exactly ``at_least - 1`` days before, those who did it on d (n1, of them a retained)
    against the others (n0, c).

    Parameters
    ----------
    journeys
        Rolled-up journeys.
    outcome
        A frame ``user_id, retained`` in place of the rule of `outcomes`.
    among
        A frame with `user_id`: only these users, such as those who reached a landmark.
    by
        Property or properties of users: every action also within each of their values.
    adjust
        Property or properties of users, fixed at the start, such as the channel: users are compared with those of the same
        value only.
    days
        Doing it on at least so many of the early days counts as doing it; each is tried.
    controls
        Actions that cannot matter: they are shown, and how many of them would have been called clear.
    core_days
        How many different days with the core action in the outcome window make a user retained.
    q
        Share of false discoveries accepted among the actions named.
    thresholds
        No longer taken; see `days`.

    Returns
    -------
    DataFrame
        One row per action at its best number of days, and one for ``(active days)``: named actions first, strongest
        first.

        `action`, `at_least`; `n_retained`, `n_churned` users compared; `did_retained`, `did_churned` of them who did it;
        `share_retained`, `share_churned`, their `difference` with `low`, `high`; `retention_did`, `retention_not`: share
        retained of those who did and did not, `risk_ratio` their ratio; `adjusted_risk_ratio`, `adjusted_low`,
        `adjusted_high`: the trials', null where there is none (nobody without the action was retained: only a lower bound;
        nobody with it: only an upper one); `same_day_risk_ratio`: the same among users with equally many other events on
        that very day; `uncompared`: share of those who did it who found nobody to be compared with; `e_value`; `phi`;
        `phi_holdout`: on one half of the users, at the number of days best on the other; `reach`: share of all who did it;
        `tried`: numbers of days tried; `design_effect`: by how much likeness within accounts inflates the variance (1
        where no accounts are known); `p`: the larger chance of the two adjusted figures, times `tried`; `q`:
        Benjamini-Hochberg over actions; `trial_q`: the same of the trials alone; `part_of_definition`: the action defines the outcome;
        `belongs_to`: what the action is in the definition, if anything; `control`, `controls`, `controls_clear`: whether
        it is one of the controls, how many there are, and how many of them would have been called clear; `launched_at`:
        the action was launched late and only users who signed up later are compared; `test_users_per_arm`, `test_days`,
        `experiment`: of the test that would settle a named action, and in words who is offered what
        (see `engagekit.first_weeks.settling.lever_test`); `verdict`: ``"more in
        retained"``, ``"more in churned"``, ``"not clear"`` or ``"too few"``; `sentence`; `question`: what the row asks of
        onboarding.

        With `by`, its columns stand first (null in the pooled row), `scope` is ``"all"`` or ``"group"``, and `opposite` is
        true where pooled and within-group differences clearly point in opposite directions.

    Raises
    ------
    ParameterError
        `days`, `q`, `by`, `adjust` or `controls` means nothing, or `thresholds` is given.
    ColumnError
        `outcome` or `among` lacks a column.

    Notes
    -----
    Compared are users whose outcome is known (see `outcomes`). Whoever quits early has less time to do anything, and
    whoever is keen does more of everything, so most actions look retaining.

    *What the adjustment does.* Nothing that came after the action is looked at: users are alike in what was known of
    them when it was done: the early day, on how many days they had been active, how long since, how much they had done, when
    they signed up, and the properties in `adjust`. Strata without a comparison are joined to coarser ones step by step
    (see `engagekit.first_weeks.trial_strata.trial_strata`), never across days, quarters of the sign-up range or values of `adjust`.
    Whom that leaves without anybody alike, a tenth or so of those who do what nearly all do, is left out (`uncompared`). The
    same-day figure takes away, too, that whoever does more on a day does more of any kind; for an action that is part of
    what busy days are made of, it compares with days fuller by as much as the action tells (see `engagekit.first_weeks.same_day`). An
    action is named only if both figures stand out (`q`), and the plain one points the same way.

    *What it does not do.* It cannot see intent: users who meant to stay anyway may do an action for that very reason. The
    `e_value` says how strongly such a thing would have to go with both, to explain the ratio alone. A true effect of an
    action that fills its own day with other events can be hidden by the same-day figure. The ratio is diluted, 1.15 for a
    true 1.22, since the others may do it later. The best of `days` flatters itself; `strongest` does not.

    Where users have an `account_id`, users of one account are alike, and the chances rest on accounts. An action needs 10
    users who did it and 10 who did not, and at most half of those who did it without a comparison. Where no number of
    days stands out, the one that the most users reached is shown. Active days, which nothing is left to adjust for, the
    actions that define the outcome, and controls are shown, but not named, and `q` does not count them. Outreach is done to
    users, not by them, and left out. Nothing here shows a cause.

    References
    ----------
    Hernán and Robins (2016), trials in sequence; Mantel and Haenszel (1959); Greenland and Robins (1985); Koopman (1984);
    Newcombe (1998); Benjamini and Hochberg (1995); VanderWeele and Ding (2017).

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> compare_first_weeks(journeys).select("action", "verdict").row(0)
    ('tour_taken', 'more in retained')
    """
    from engagekit.first_weeks.verdicts import weighed

    _check(days, q, controls, thresholds)
    names = group_names(journeys, by, taken=[*COLUMNS, *GROUPED])
    asked = asked_for(
        journeys, outcome=outcome, among=among, core_days=core_days, by=names, adjust=_many(adjust),
        days=days,
    )  # fmt: skip
    controlled = check_controls(asked, _many(controls))
    known, (did, of) = asked.early.known.together(), asked.counts.whole()
    found = weighed(known, asked.logged.acts, asked.days, account=asked.account)
    rows = rows_of(asked, found, did, of, controlled)
    judge(rows, q)
    table = framed([*rows, activity_row(asked)] if asked.users else [])
    if names:
        table = with_groups(table, rows, asked, found, q)
    return finished(table, asked, names)


def strongest(
    journeys: Journeys,
    *,
    outcome: Frame | None = None,
    among: Frame | None = None,
    adjust: str | Sequence[str] = (),
    days: Sequence[int] = DEFAULT_DAYS,
    controls: str | Sequence[str] = (),
    core_days: int = 1,
    q: float = 0.05,
    thresholds: None = None,
) -> pl.DataFrame:
    """Say which actions stand out on one half of the users, and show what the other half says of them.

    The actions that are named on the first half, each at its best number of days there.

    Parameters
    ----------
    journeys, outcome, among, adjust, days, controls, core_days, q, thresholds
        As for `compare_first_weeks`.

    Returns
    -------
    DataFrame
        The columns of `compare_first_weeks`, with `tried`, `p`, `q`, `trial_q` and `verdict` from the half that chose and every
        other number from the half that did not. Where that half's three figures do not all point the same way, the verdict is
        ``"not clear"``. Actions that belong to the definition, controls and active days are not in it.

    Raises
    ------
    ParameterError, ColumnError
        As for `compare_first_weeks`.

    Notes
    -----
    Whatever is chosen because it looks strong looks stronger than it is. The halves are fixed by a hash of the user id.

    Examples
    --------
    >>> import engagekit as ek
    >>> made = ek.simulate(users=2000, seed=1, telling={"tour_taken": (0.8, 0.2)})
    >>> journeys = ek.rollup(made.events, made.definition, as_of=made.as_of)
    >>> "tour_taken" in strongest(journeys)["action"]
    True
    """
    from engagekit.first_weeks.verdicts import weighed

    _check(days, q, controls, thresholds)
    asked = asked_for(
        journeys, outcome=outcome, among=among, core_days=core_days, by=(), adjust=_many(adjust),
        days=days,
    )  # fmt: skip
    controlled = check_controls(asked, _many(controls))
    halves, place = {}, None
    for half in (1, 0):
        mine = asked.half == half
        did, of = asked.counts.of_half(half)
        found = weighed(
            asked.early.known.only(mine), asked.logged.acts.among(mine), asked.days,
            account=None if asked.account is None else asked.account[mine], place=place,
        )  # fmt: skip
        halves[half] = rows_of(asked, found, did, of, controlled)
        place = found.place
    judge(halves[1], q)
    chosen = [
        telling
        | {name: choosing[name] for name in FROM_CHOOSING}
        | {"phi_holdout": telling["phi"], "verdict": held_to(choosing["verdict"], telling)}
        for choosing, telling in zip(halves[1], halves[0], strict=True)
        if named_lever(choosing)
    ]
    return finished(framed(chosen), asked, [])


def _many(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check(
    days: Sequence[int], q: float, controls: str | Sequence[str], thresholds: object
) -> None:
    faults = [] if thresholds is None else [MOVED]
    faults += days_faults(days) + share_faults("q", q)
    if not isinstance(controls, Sequence) or not all(isinstance(name, str) for name in controls):
        faults.append(
            f"controls is {controls!r}; it takes the name of an action or a list of them."
        )
    if faults:
        raise ParameterError.from_faults("The first weeks cannot be compared", faults)
