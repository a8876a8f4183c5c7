"""Would another definition change the answer? The loops and verdicts of several, side by side."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import polars as pl

from engagekit.definition import LINKS, Definition
from engagekit.errors import EngagekitError, ParameterError
from engagekit.matchers import event_names
from engagekit.priority import prioritize
from engagekit.rollups import rollup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engagekit.instants import Instant

ALTERNATIVES: dict[str, Any] = {
    "candidate": pl.String,
    "verdict": pl.String,
    "link": pl.String,
    "probability": pl.Float64,
    **{f"{link}_{c}": t for link in LINKS for c, t in (("rate", pl.Float64), ("of", pl.Int64))},
    "same": pl.Boolean,
    "sentence": pl.String,
}
MOST_CANDIDATES = 3


def compare_activations(
    events: Any,
    definition: Definition,
    candidates: Mapping[str, Any],
    *,
    users: pl.DataFrame | None = None,
    as_of: Instant | None = None,
) -> pl.DataFrame:
    """Say whether another activation would change the verdict: the loop and the verdict of each candidate.

    Parameters
    ----------
    events
        The log, or the folder of a prepared one, as `rollup` takes it.
    definition
        All but the activation.
    candidates
        Name to matcher: what activation could be. The first is the one the others are held against.
    users, as_of
        As for `rollup`.

    Returns
    -------
    DataFrame
        One row per candidate: `candidate`, `verdict`, `link`, `probability`; each link's rate of recent sign-ups with the
        users judged, ``<link>_rate`` and ``<link>_of``; `same`: the verdict and its link are those of the first candidate;
        `sentence`. A candidate that the log cannot answer has nulls, and says why in `sentence`.

    Raises
    ------
    ParameterError
        There are no candidates.

    Examples
    --------
    >>> import engagekit as ek
    >>> log = ek.simulate(users=400, seed=1)
    >>> found = compare_activations(log.events, log.definition, {"project": "first_project", "connect": "connect_done"})
    >>> found.select("candidate", "verdict", "same").rows()
    [('project', 'named', True), ('connect', 'named', False)]
    """
    if not candidates:
        raise ParameterError("candidates is empty; give a name and a matcher for each activation.")
    rows: list[dict[str, Any]] = []
    for name, matcher in candidates.items():
        row: dict[str, Any] = {"candidate": name}
        try:
            tried = dataclasses.replace(definition, activation=matcher)
            found = prioritize(rollup(events, tried, users=users, as_of=as_of))
        except EngagekitError as error:
            rows.append(row | {"sentence": f"This cannot be answered: {error}"})
            continue
        row |= {k: getattr(found, k) for k in ("verdict", "link", "probability", "sentence")}
        for link in found.table.to_dicts():
            row |= {f"{link['link']}_{c}": link[c] for c in ("rate", "of")}
        rows.append(row)
    first = (rows[0].get("verdict"), rows[0].get("link"))
    for row in rows:
        if "verdict" in row:
            row["same"] = (row["verdict"], row["link"]) == first
    return pl.DataFrame(rows, schema=ALTERNATIVES)


def activation_candidates(table: pl.DataFrame, definition: Definition) -> list[str]:
    """List events that could be the activation instead: steps on the way to it, or what most users do once.

    Parameters
    ----------
    table
        What `event_table` gives.
    definition
        Its own activation stands first; what plays another role in it is left out.

    Returns
    -------
    list
        At most three event names: the definition's own, then the last and the first step that users complete (steps
        missing: the events that most users do, and few do again).

    Examples
    --------
    >>> table = pl.DataFrame({"event": ["joined", "drawn", "saved", "shared"], "users": [90, 50, 70, 60], "repeating": [0, 40, 3, 2]})
    >>> activation_candidates(table, Definition(signup="joined", activation="drawn", core="drawn"))
    ['drawn', 'saved', 'shared']
    """
    own = event_names(definition.activation)[0]
    roles = (definition.signup, definition.outreach, definition.feedback_asked, definition.errors, definition.support)  # fmt: skip
    matchers = [m for m in (*roles, *definition.advanced, *definition.advocacy) if m is not None]
    taken = {own, *(name for m in matchers for name in event_names(m))}
    known = set(table["event"])
    done = [
        n for s in definition.steps if s.completed is not None for n in event_names(s.completed)
    ]
    steps = [name for name in done if name in known - taken]
    once = table.filter(
        ~pl.col("event").is_in(sorted(taken | set(done))), pl.col("repeating") * 4 < pl.col("users")
    )
    others = [*steps[-1:], *steps[:1], *once["event"]]
    return [own, *[n for n in dict.fromkeys(others) if n != own][: MOST_CANDIDATES - 1]]
