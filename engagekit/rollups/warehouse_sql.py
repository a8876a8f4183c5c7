"""The reduction as SQL text, to run as a model in a warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit.errors import ParameterError, check_choice
from engagekit.ingest import definition_of
from engagekit.instants import AT, beside_log
from engagekit.journeys import EARLY_EVENTS, TABLES, early_names
from engagekit.log import COLUMNS
from engagekit.matchers import Not, as_matches
from engagekit.rollups.population import EARLY, LATE
from engagekit.rollups.sql_dialects import (
    DAY_US,
    DIALECTS,
    dated,
    ibis,
    instant,
    micros,
    shaped,
)
from engagekit.rollups.sql_edges import body_of, ends_of
from engagekit.rollups.user_properties import own_properties

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from engagekit.definition import Definition
    from engagekit.instants import Instant

EVENTS, USERS = (
    "engagekit_events",
    "engagekit_users",
)  # stand for the tables until their names are filled in
KINDS: dict[type, str] = {str: "string", bool: "boolean", int: "int64", float: "float64"}
KEEPS_STRAYS = ("spark", "databricks")  # whose planner takes minutes for the search for edges


def rollup_sql(
    definition: Definition | str | os.PathLike[str],
    *,
    dialect: str,
    events: str = "events",
    users: str | None = None,
    users_columns: Sequence[str] = (),
    unit: str = "user",
    as_of: Instant | None = None,
    dates_only: bool = False,
) -> dict[str, str]:
    """Write the reduction of `rollup` as plain SQL, one query per table of the journeys.

    Parameters
    ----------
    definition
        Which events mean what: a definition, or the path of its file.
    dialect
        ``"duckdb"``, ``"snowflake"``, ``"bigquery"``, ``"databricks"`` or ``"spark"``.
    events
        The event log's table as the dialect writes it (``shop.public.events``), with the columns ``user_id``,
        ``event``, ``at`` and the properties that the definition looks at. ``at`` is a timestamp in UTC (BigQuery:
        TIMESTAMP; Spark and Databricks: TIMESTAMP, not TIMESTAMP_NTZ; Snowflake: TIMESTAMP_NTZ), or a DATE with `dates_only`.
    users
        The users table, if there is one, with ``user_id`` and `users_columns`, one row for each user.
    users_columns
        Which columns it has, besides which the definition's `properties` are taken from the events: ``signed_up_at`` (a timestamp in UTC, with `dates_only` a DATE) is the sign-up,
        ``account_id`` is needed for accounts, the others are properties (not carried with accounts).
    unit
        ``"user"`` or ``"account"``, as in `rollup`.
    as_of
        The instant up to which the log is complete (exclusive). Default: just after the last event of the
        log's body, found anew at each run; stray events at either end are left out as by `rollup`. Spark and
        Databricks plan the search for them over and over, so there they are kept: see to it that no clock runs
        astray, or give the frame itself to `rollup`, which leaves them out in Spark too.
    dates_only
        Whether ``at`` is a date.

    Returns
    -------
    dict
        Name to query: ``users``, ``steps``, ``early``, ``days`` with the columns of `Journeys`, their instants as the
        dialect's timestamps in UTC, and in place of ``early_events`` a column for each day, ``early_events_0`` and on; ``left_out`` (``reason, count, unit``) and ``about`` (one row: ``as_of, log_start``).
        ``Journeys.from_frames`` reads them all back.

    Raises
    ------
    ParameterError
        A choice is unknown, or a property is compared with values of different kinds.
    EngagekitError
        Ibis is not installed.

    Notes
    -----
    In Snowflake the columns of both tables are taken unquoted, as most tables there are made; the results' columns
    are in small letters everywhere.

    Examples
    --------
    >>> import engagekit as ek
    >>> definition = ek.Definition(signup="signup", activation="publish", core="publish")
    >>> queries = rollup_sql(definition, dialect="snowflake", events="shop.public.events")
    >>> list(queries)
    ['users', 'steps', 'early', 'days', 'left_out', 'about']
    >>> "FROM shop.public.events" in queries["users"]
    True
    """
    definition = definition_of(definition)
    faults = check_choice("dialect", dialect, DIALECTS) + check_choice(
        "unit", unit, ["user", "account"]
    )
    if unit == "account" and (users is None or "account_id" not in users_columns):
        faults.append("unit='account' needs users= with 'account_id' among users_columns=.")
    kinds = {
        "user_id": "string",
        "event": "string",
        "at": "date" if dates_only else "timestamp('UTC')",
    }
    own = own_properties(definition, users_columns)
    kinds |= dict.fromkeys(own, "string") | _property_kinds(definition, faults)
    faults += [
        f"{name!r} cannot be a property of users: engagekit uses this name itself; rename it."
        for name in (*users_columns, *own)
        if name in TABLES["users"] and name != "signed_up_at"
    ]
    if faults:
        raise ParameterError.from_faults("No SQL can be written", faults)
    zone = "UTC" if dates_only else definition.timezone
    log = shaped(
        ibis().table(kinds, name=EVENTS),
        dialect,
        "date" if dates_only else "instant",
        zone,
        [name for name in kinds if name not in COLUMNS],
    )
    look = ends_of if dialect in KEEPS_STRAYS else body_of
    bounds = _bounds(log, as_of, definition.timezone, look, dates_only=dates_only)
    carried = ["user_id", *(c for c in users_columns if c != "user_id")]
    people = (
        None
        if users is None
        else ibis().table({c: _users_kind(c, kinds["at"]) for c in carried}, name=USERS)
    )
    asked = as_of is not None
    found = _reduced(
        log, people, bounds, definition, dialect, unit, dates_only=dates_only, asked=asked
    )
    found["about"] = bounds.select(
        as_of=instant(bounds.end_t, dialect), log_start=instant(bounds.start_t, dialect)
    )
    sources = {EVENTS: (events, list(kinds)), USERS: (users or USERS, carried)}
    return {name: _text(table, dialect, sources) for name, table in found.items()}


def _property_kinds(definition: Definition, faults: list[str]) -> dict[str, str]:
    kinds: dict[str, set[str]] = {}
    for matcher in definition.matchers().values():
        for match in as_matches(matcher):
            for column, condition in match.where:
                values = condition.values if isinstance(condition, Not) else condition
                kinds.setdefault(column, set()).update(
                    KINDS[type(value)] for value in values if value is not None
                )
    if definition.experiment is not None:
        kinds.setdefault(definition.experiment.property, {"string"})
    for column, several in kinds.items():
        if several == {"int64", "float64"}:
            several.remove("int64")
        if len(several) > 1:
            faults.append(
                f"the property {column!r} is compared with values of different kinds; which is it?"
            )
    # What is only asked whether it is null may hold anything.
    return {column: min(several, default="string") for column, several in kinds.items()}


def _users_kind(column: str, at: str) -> str:
    return at if column == "signed_up_at" else "string"


def _bounds(
    log: Any,
    as_of: Instant | None,
    timezone: str,
    look: Callable[..., Any],
    *,
    dates_only: bool,
) -> Any:
    if as_of is None:
        body = look(log)
        return body.select("start_t", end_t=body.last_t + (DAY_US if dates_only else 1))
    moment = beside_log(as_of, timezone=timezone, dates_only=dates_only)
    end = ibis().literal(int(moment.timestamp()) * 1_000_000 + moment.microsecond, "int64")
    return look(log, end).select("start_t", end_t=end)


def _stray(log: Any, bounds: Any, *, asked: bool) -> list[Any]:
    """Count what lies outside the log's body; what comes before an `as_of` that was given is vouched for."""
    placed = log.cross_join(bounds)
    early = placed.filter(placed.t < placed.start_t)
    late = placed.filter(placed.t >= placed.end_t)
    named = [(EARLY, early)] if asked else [(EARLY, early), (LATE, late)]
    return [
        rows.aggregate(count=rows.count()).select(
            "count", reason=ibis().literal(reason), unit=ibis().literal("events")
        )
        for reason, rows in named
    ]


def _reduced(
    log: Any,
    people: Any,
    bounds: Any,
    definition: Definition,
    dialect: str,
    unit: str,
    *,
    dates_only: bool,
    asked: bool,
) -> dict[str, Any]:
    import narwhals as nw

    from engagekit.rollups.engines import as_portable
    from engagekit.rollups.narwhals_reduction import Source, reduction
    from engagekit.rollups.population import TOO_SOON

    told = (
        None if people is None else as_portable(_told(people, dialect, unit, dates_only=dates_only))
    )
    limits, zone = as_portable(bounds), definition.timezone
    source = Source(
        as_portable(log),
        told,
        lambda frame: frame.join(limits, how="cross"),
        unit,
        lambda same: same,
        tuple(own_properties(definition, () if people is None else people.columns)),
        None if dates_only else lambda frame: as_portable(dated(frame.to_native(), dialect, zone)),
    )
    found = reduction(source, definition)
    del found["late"], found["unannounced"]  # questions of rollup's own
    too_soon = found.pop("too_soon").with_columns(reason=nw.lit(TOO_SOON), unit=nw.lit("events"))
    stray = [as_portable(frame) for frame in _stray(log, bounds, asked=asked)]
    reasons = [found.pop("left_out"), too_soon, *stray]
    arms = found.pop("assigned", None)
    left_out = nw.concat([frame.select("reason", "count", "unit") for frame in reasons])
    tables = {
        name: _with_instants(frame.to_native(), name, dialect, definition)
        for name, frame in found.items()
    }
    if people is not None and unit == "user":
        properties = [c for c in people.columns if c != "signed_up_at"]
        joined = tables["users"].left_join(people.select(properties), "user_id")
        days = early_names(definition.first_days)  # stand for one column of lists
        ours = [*(c for c in TABLES["users"] if c != EARLY_EVENTS), *days]
        own = [c for c in tables["users"].columns if c not in ("user_id", *ours)]
        brought = [c for c in properties if c != "user_id"]
        tables["users"] = joined.select("user_id", *ours, *brought, *own)
    if arms is not None:
        told = arms.to_native()
        told = told.mutate(assigned_at=instant(told.assigned_at, dialect))
        tables["users"] = tables["users"].left_join(told, "user_id").drop("user_id_right")
    return tables | {"left_out": left_out.filter(nw.col("count") > 0).to_native()}


def _told(people: Any, dialect: str, unit: str, *, dates_only: bool) -> Any:
    """Say of each user in the users table when it signed up."""
    columns = ["user_id", *(["account_id"] if unit == "account" else [])]
    if "signed_up_at" not in people.columns:
        return people.select(*columns, su_t=ibis().null("int64"))
    su_t = micros(people.signed_up_at, dialect, "date" if dates_only else "instant")
    return people.select(*columns, su_t=su_t)


def _with_instants(table: Any, name: str, dialect: str, definition: Definition) -> Any:
    declared = {"user_id": None} | TABLES[name]
    if name == "users":  # properties stand behind; not every dialect has lists
        declared.pop(EARLY_EVENTS)
        declared |= dict.fromkeys(early_names(definition.first_days))
        declared |= {c: None for c in table.columns if c not in declared}
    return table.select(
        **{
            c: instant(table[c], dialect) if kind == AT else table[c]
            for c, kind in declared.items()
        }
    )


def _text(table: Any, dialect: str, sources: dict[str, tuple[str, list[str]]]) -> str:
    import sqlglot
    from sqlglot import exp

    def filled(node: Any) -> Any:
        if not isinstance(node, exp.Table) or node.name not in sources:
            return node
        name, columns = sources[node.name]
        quoted = dialect != "snowflake"
        chosen = [exp.column(c, quoted=quoted).as_(c, quoted=True) for c in columns]
        source = exp.select(*chosen).from_(exp.to_table(name, dialect=dialect))
        return source.subquery(node.alias or node.name)

    text = str(ibis().to_sql(table, dialect="pyspark" if dialect == "spark" else dialect))
    parsed = sqlglot.parse_one(text, dialect=dialect)
    return str(parsed.transform(filled).sql(dialect=dialect, pretty=True))
