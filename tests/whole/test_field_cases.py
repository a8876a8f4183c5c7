"""What real inputs did to the first version, answered: each case of the field notes that no other file holds."""

from __future__ import annotations

import dataclasses
import unicodedata
from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl
import pytest

import engagekit as ek
from engagekit.errors import DefinitionError, EngagekitWarning, ParameterError

CUT = datetime(2025, 10, 1, tzinfo=UTC)


@cache
def sample():
    """1,500 users of the bundled sample: the log, its definition, a users table with the sign-ups."""
    whole = ek.load_sample()
    log = whole.events.collect().filter(pl.col("user_id").str.starts_with("u"))
    some = log["user_id"].unique().sort().head(1500)
    log = log.filter(pl.col("user_id").is_in(some.to_list()))
    first = log.group_by("user_id").agg(pl.col("at").min().alias("signed_up_at"))
    people = whole.users.join(first, on="user_id")
    return log, whole.definition, people, whole.as_of


def rolled(log=None, *, users=None, as_of=None, missing="refuse", **changes):
    known, definition, _, end = sample()
    changed = dataclasses.replace(definition, **changes)
    return ek.rollup(known if log is None else log, changed, users=users, as_of=as_of or end, missing=missing)  # fmt: skip


def scanned(source, **options):
    return ek.scan_events(source, **options).collect()


def kinds(journeys):
    return {remark.kind: remark for remark in journeys.remarks}


def withheld(journeys, kind):
    """The verdict names nothing, and gives the remark as its reason; so do groups, and what is handed on."""
    found, remark = ek.prioritize(journeys), kinds(journeys)[kind]
    assert (found.verdict, found.link, found.play) == ("undecided", None, None)
    assert (found.probability, found.p_problem, found.problem_candidates) == (0.0, None, ())
    assert (found.candidates, found.more_users, found.more_users_high) == ((), None, None)
    assert found.sentence.startswith(f"No link is named: {remark.text}")
    assert remark.text in found.warnings
    return remark


def renamed(log, old, new, since=None):
    here = pl.col("event") == old
    here = here if since is None else here & (pl.col("at") >= since)
    return log.with_columns(event=pl.when(here).then(pl.lit(new)).otherwise("event"))


def test_the_log_that_all_cases_start_from_has_nothing_to_remark_on():
    journeys = rolled(users=sample()[2])
    assert journeys.remarks == ()
    assert ek.prioritize(journeys).link == "habit"


# --- names that nobody did ---


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"core": "project_publishe"}, r"core: 'project_publishe' is in no event\. Did you mean 'project_published'"),
        ({"activation": "project_first"}, r"activation: .* Did you mean 'first_project'"),
        ({"signup": "signd_up"}, r"signup: .* Did you mean 'signed_up'"),
        ({"advanced": ["zzz"]}, r"advanced action zzz: 'zzz' is in no event\. Events there are: "),
        ({"steps": [ek.Step("Open", reached="profil_opened")]}, r"step 'Open' reached: .*'profile_opened'"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_refused_with_the_nearest(changes, told):
    with pytest.raises(DefinitionError, match=told):
        rolled(**changes)


def test_all_misspelt_names_are_told_at_once_and_one_that_nobody_needs_is_a_remark():
    with pytest.raises(DefinitionError, match=r"(?s)2 faults.*activation: .*core: "):
        rolled(activation="x1", core="x2")
    remark = kinds(rolled(support="call_me"))["missing event"]
    assert remark.about == ("support", "call_me")
    assert ek.prioritize(rolled(support="call_me")).link == "habit"


def test_a_condition_that_no_event_meets_is_a_missing_event_too():
    log = sample()[0].with_columns(kind=pl.lit("custom"))
    with pytest.raises(DefinitionError, match=r"core: 'project_published' occurs, but never with kind: custm\. Did you mean 'custom'"):  # fmt: skip
        rolled(log, core=ek.Match("project_published", kind="custm"))
    assert rolled(log, core=ek.Match("project_published", kind="custom")).remarks == ()


def test_one_of_several_names_may_be_missing_but_is_remarked_on():
    journeys = rolled(core=["project_published", "project_publishe"])
    remark = kinds(journeys)["unknown name"]
    assert "'project_publishe' is in no event. Did you mean 'project_published'?" in remark.text
    assert ek.prioritize(journeys).link == "habit"


def test_what_is_allowed_though_nobody_did_it_leaves_undecided_what_rests_on_it():
    assert withheld(rolled(core="nothing", missing="allow"), "missing event").share == 1.0
    # Habit is judged before depth, so it does not rest on what makes depth.
    assert ek.prioritize(rolled(advanced=["nothing"], missing="allow")).link == "habit"
    low = {"activation": 0.05, "habit": 0.05, "depth": 0.5}
    withheld(rolled(advanced=["nothing"], missing="allow", targets=low), "missing event")
    with pytest.raises(ParameterError, match="Did you mean 'allow'"):
        rolled(missing="alow")


@pytest.mark.parametrize(
    "ask",
    [
        lambda log, **more: ek.retention(log, start="zzz", **more),
        lambda log, **more: ek.retention(log, start="signed_up", back="zzz", **more),
        lambda log, **more: ek.lifecycle(log, event="zzz", **more),
        lambda log, **more: ek.stickiness(log, event="zzz", **more),
        lambda log, **more: ek.funnel(log, ["signed_up", "zzz"], **more),
        lambda log, **more: ek.funnel(log, ["signed_up", "opened"], exclude=[("zzz", 0, 1)], **more),
    ],
)  # fmt: skip
def test_questions_about_raw_events_refuse_what_nobody_did(ask):
    with pytest.raises(
        ParameterError, match=r"matches nothing: no event is named 'zzz'\. There are "
    ):
        ask(sample()[0])
    assert isinstance(ask(sample()[0], missing="allow"), pl.DataFrame)
    with pytest.raises(ParameterError, match="missing is 'al'"):
        ask(sample()[0], missing="al")


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"activation": "in"}, "activation is the sign-up event itself"),
        ({"activation": ["in", "make"]}, "activation is the sign-up event itself"),
        ({"core": "in"}, "core is the sign-up event itself"),
        ({"signup": ek.Match("in", via="web"), "core": "in"}, "core is the sign-up event itself"),
        ({"outreach": "make"}, "core is outreach"),
        ({"outreach": ek.Match("make", by="us")}, "core is outreach"),
        ({"outreach": "mail", "core": ek.Match("mail", opened=True)}, "core is outreach"),
        ({"outreach": "mail", "advanced": ["mail"]}, "advanced action 'mail' is outreach"),
    ],
)
def test_definitions_that_can_mean_nothing_are_refused(faults, told):
    with pytest.raises(DefinitionError, match=told):
        ek.Definition(**{"signup": "in", "activation": "do", "core": "make"} | faults)


def test_definitions_that_look_alike_but_mean_something_are_taken():
    same = ek.Definition(signup="in", activation="make", core="make")
    assert same.activation == same.core
    ek.Definition(activation="make", core="make")  # the first event is the sign-up
    ek.Definition(signup=["in", "make"], activation="make", core="make")
    told_apart = {"core": ek.Match("message", by="user"), "outreach": ek.Match("message", by="us")}
    ek.Definition(signup="in", activation="do", **told_apart)


def test_a_first_event_that_is_the_activation_is_so_by_construction():
    rows = [(u, "make", datetime(2026, 1, 1) + timedelta(days=u % 60 + d)) for u in range(300) for d in (0, 9)[: 1 + u % 2]]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(activation="make", core="make", burn_in_days=0, targets={"activation": 0.3, "habit": 0.9})  # fmt: skip
    found = ek.prioritize(ek.rollup(log, definition))
    assert found.link == "habit"
    (said,) = [w for w in found.warnings if "by construction" in w]
    assert said.startswith("Activation is 100% by construction")
    later = ek.rollup(log.with_columns(event=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("open")).otherwise("event")), definition)  # fmt: skip
    assert "by construction" not in " ".join(ek.prioritize(later).warnings)


# --- names and ids written in two ways ---


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_compared_in_one_normal_form(form):
    plain = rolled()
    log = renamed(sample()[0], "project_published", unicodedata.normalize("NFD", "publié"))
    half = pl.int_range(pl.len()) % 2 == 0
    log = log.with_columns(event=pl.when(half & (pl.col("event") == unicodedata.normalize("NFD", "publié"))).then(pl.lit("publi\u200bé")).otherwise("event"))  # fmt: skip
    core = unicodedata.normalize(form, "publié")
    journeys = rolled(log, core=core)
    assert journeys.remarks == ()
    assert journeys.users.equals(plain.users)
    assert core in journeys.early["event"].unique().to_list()
    assert ek.lifecycle(log, event=core).height > 0


def test_a_name_with_a_character_that_nobody_sees_is_found_in_raw_events():
    log = renamed(sample()[0], "project_published", "project\ufeff_published")
    plain = ek.retention(sample()[0], start="signed_up", back="project_published")
    assert ek.retention(log, start="signed_up", back="project_published").equals(plain)


@pytest.mark.parametrize("other", ["blank", "capitals", "zeros", "decimals"])
def test_ids_written_in_two_ways_are_remarked_on(other):
    log = sample()[0].with_columns(user_id=pl.col("user_id").str.extract(r"(\d+)$"))
    user = pl.col("user_id")
    write = {
        "blank": user + " ", "capitals": (pl.lit("a") + user).str.to_uppercase(), "zeros": pl.lit("00") + user,
        "decimals": user + ".0",
    }[other]  # fmt: skip
    plain = pl.lit("a") + user if other == "capitals" else user
    third = pl.int_range(pl.len()) % 3 == 0
    remark = withheld(rolled(log.with_columns(user_id=pl.when(third).then(write).otherwise(plain))), "ids alike")  # fmt: skip
    assert remark.users > 2500
    assert remark.share > 0.9
    few = pl.col("user_id").is_in(log["user_id"].unique().sort().head(5).to_list())
    journeys = rolled(log.with_columns(user_id=pl.when(third & few).then(write).otherwise(plain)))
    assert kinds(journeys)["ids alike"].users <= 10
    assert ek.prioritize(journeys).link == "habit"


def test_ids_that_a_spreadsheet_rounded_and_ids_of_nobody():
    number = pl.col("user_id").str.extract(r"(\d+)$").cast(pl.Int64)
    rounded = pl.format("1.{}E+11", number % 400 + 20000)
    assert withheld(rolled(sample()[0].with_columns(user_id=rounded)), "ids rounded").share == 1.0
    guest = pl.when(number % 50 == 0).then(pl.lit("anonymous")).otherwise("user_id")
    remark = kinds(rolled(sample()[0].with_columns(user_id=guest)))["ids that stand for many"]
    assert remark.users == 1


def test_whole_numbers_are_never_alike():
    number = pl.col("user_id").str.extract(r"(\d+)$").cast(pl.Int64)
    assert rolled(sample()[0].with_columns(user_id=number)).remarks == ()


def test_events_of_the_definition_without_a_user(tmp_path):
    log = sample()[0]
    nobody = pl.when((pl.col("event") == "project_published") & (pl.int_range(pl.len()) % 2 == 0))
    lost = log.with_columns(user_id=nobody.then(None).otherwise("user_id"))
    assert withheld(rolled(lost), "events without a user").share > 0.1
    ek.prepare_events(lost, tmp_path / "log", progress=False)
    assert rolled(tmp_path / "log").remarks == rolled(lost).remarks
    # Visitors whom nobody knows yet bend no answer: their events are none of the definition's.
    views = log.head(9000).with_columns(user_id=pl.lit(None, pl.String), event=pl.lit("page"))
    assert rolled(pl.concat([log, views])).remarks == ()


# --- the users table ---


def test_a_users_table_that_matches_in_part():
    people = sample()[2]
    upper = pl.when(pl.int_range(pl.len()) > 0).then(pl.col("user_id").str.to_uppercase()).otherwise("user_id")  # fmt: skip
    journeys = rolled(users=people.with_columns(user_id=upper))
    assert {"users table in part", "ids alike"} <= set(kinds(journeys))
    assert ek.prioritize(journeys).verdict == "undecided"
    other = pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("x") + pl.col("user_id")).otherwise("user_id")  # fmt: skip
    remark = withheld(rolled(users=people.with_columns(user_id=other)), "users table in part")
    assert (remark.users, remark.share) == (300, 0.2)
    # A table that only splits the answer bends the groups, not the whole.
    journeys = rolled(users=people.with_columns(user_id=other).drop("signed_up_at"))
    assert kinds(journeys)["users table in part"].share is None
    assert ek.prioritize(journeys).link == "habit"


def test_sign_ups_that_lie_after_what_their_users_did():
    people = sample()[2]
    later = people.with_columns(pl.col("signed_up_at") + timedelta(days=30))
    remark = withheld(rolled(users=later), "late sign-ups")
    assert remark.users > 500
    hour = people.with_columns(pl.col("signed_up_at") + timedelta(minutes=1))
    assert ek.prioritize(rolled(users=hour)).link == "habit"


def test_a_date_that_nobody_uses_may_be_the_sign_up():
    log, people = sample()[0].filter(pl.col("event") != "signed_up"), sample()[2]
    dated = people.rename({"signed_up_at": "signup_date"})
    remark = withheld(rolled(log, users=dated, signup=None), "unused dates")
    assert remark.about == ("signup_date",)
    assert "name the column signed_up_at" in remark.text
    text = dated.with_columns(pl.col("signup_date").dt.strftime("%Y-%m-%d %H:%M"))
    assert "unused dates" in kinds(rolled(log, users=text, signup=None))
    birthday = people.rename({"signed_up_at": "birthday"})
    assert "unused dates" not in kinds(rolled(log, users=birthday, signup=None))
    assert ek.prioritize(rolled(log, users=people, signup=None)).link == "habit"


def test_a_log_that_follows_one_cohort_names_burn_in_days():
    rows = [(u, "make", date(2026, 1, 1) + timedelta(days=u % 60 + d)) for u in range(200) for d in range(0, 300, 20)]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(activation="make", core="make", targets={"habit": 0.5})
    found = ek.prioritize(ek.rollup(log, definition))
    assert found.sentence.startswith(
        "No link is named: 200 users of 200 were first seen in the first 90 days"
    )
    assert "set burn_in_days = 0" in found.sentence
    assert ek.rollup(log, dataclasses.replace(definition, burn_in_days=0)).users.height == 200


# --- outcomes and chosen users ---


@pytest.mark.parametrize("name", ["among", "outcome"])
def test_frames_of_other_ids_are_refused_and_of_some_warned_of(name):
    journeys = rolled()
    ids = journeys.users.select("user_id", retained=pl.int_range(pl.len()) % 2 == 0)
    with pytest.raises(ParameterError, match=f"None of the 1,500 ids of the frame given as {name}"):
        ek.outcomes(journeys, **{name: ids.with_columns(pl.col("user_id").str.to_uppercase())})
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("user_id").str.to_uppercase())
    with pytest.warns(EngagekitWarning, match=f"Only 750 of the 1,500 ids of the frame given as {name}"):  # fmt: skip
        ek.outcomes(journeys, **{name: ids.with_columns(half.otherwise("user_id"))})
    ek.outcomes(journeys, **{name: ids.head(1300)})
    ek.outcomes(journeys, **{name: ids.clear()})


# --- tracking that stops, starts or changes its name ---


def test_a_core_action_that_changes_its_name():
    log = renamed(sample()[0], "project_published", "project_published_v2", CUT)
    remark = withheld(rolled(log), "tracking stops or starts")
    assert remark.about == ("core", "2025-10-01", "2025-12-31")
    assert "'project_published_v2' begins then: was it renamed?" in remark.text
    both = rolled(log, core=["project_published", "project_published_v2"])
    assert ek.prioritize(both).link == "habit"
    assert both.remarks == ()


def test_a_sign_up_that_changes_its_name_leaves_users_without_one():
    remark = withheld(rolled(renamed(sample()[0], "signed_up", "joined", CUT)), "tracking stops or starts")  # fmt: skip
    later = (
        sample()[2]
        .join(sample()[0].select("user_id").unique(), on="user_id")
        .filter(pl.col("signed_up_at") >= CUT)
    )
    assert (remark.about[0], remark.users) == ("signup", later.height)


@pytest.mark.parametrize(("event", "role", "days"), [("project_published", "core", 45), ("first_project", "activation", 40), ("profile_saved", "step 'Profile'", 40)])  # fmt: skip
def test_an_event_that_is_missing_for_weeks(event, role, days):
    log = sample()[0]
    gone = (pl.col("event") == event) & pl.col("at").is_between(CUT, CUT + timedelta(days=days))
    remark = kinds(rolled(log.filter(~gone)))["tracking stops or starts"]
    assert remark.about[0] == role
    assert abs((date.fromisoformat(remark.about[2]) - date.fromisoformat(remark.about[1])).days + 1 - days) <= 3  # fmt: skip
    assert remark.share > 0.1


def test_a_core_action_that_begins_late():
    log = sample()[0]
    late = (pl.col("event") == "project_published") & (
        pl.col("at") < datetime(2025, 8, 20, tzinfo=UTC)
    )
    remark = kinds(rolled(log.filter(~late)))["tracking stops or starts"]
    assert remark.about[:2] == ("core", "2024-10-01")


def test_an_outage_of_everything_is_no_missing_event():
    away = pl.col("at").is_between(CUT, CUT + timedelta(days=10))
    assert rolled(sample()[0].filter(~away)).remarks == ()


@pytest.mark.parametrize("rhythm", ["weekly", "month end", "holiday"])
def test_what_is_done_in_its_own_rhythm_is_not_missing(rhythm):
    rows, start = [], datetime(2026, 1, 1)
    for user in range(120):
        joined = user % 50
        rows += [(user, "join", joined), *[(user, "look", day) for day in range(joined, 200)]]
        if rhythm == "weekly":
            rows += [(user, "make", day) for day in range(joined, 200) if day % 7 == 2]
        elif rhythm == "month end":
            rows += [(user, "make", day) for day in range(joined, 200) if day % 30 >= 27]
        else:
            rows += [(user, "make", day) for day in range(joined, 200) if not 90 <= day < 104]
    if rhythm == "holiday":  # a holiday is one of all events
        rows = [row for row in rows if not 90 <= row[2] < 104]
    rows = [(user, event, start + timedelta(days=day, minutes=user)) for user, event, day in rows]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    journeys = ek.rollup(log, ek.Definition(signup="join", activation="make", core="make"))
    assert "tracking stops or starts" not in kinds(journeys)


def test_a_product_that_takes_no_new_users_any_more_misses_nothing():
    rows, start = [], datetime(2026, 1, 1)
    for user in range(400):
        joined = user % 40
        rows += [(user, "join", joined), (user, "set up", joined), (user, "invite", joined + 3)]
        rows += [(user, "make", day) for day in range(joined, 200, 3)]
    rows = [(user, event, start + timedelta(days=day, minutes=user)) for user, event, day in rows]
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(signup="join", activation="set up", core="make", advocacy=["invite"])
    assert ek.rollup(log, definition).remarks == ()


# --- the end of the data ---


def test_an_as_of_beyond_the_log_is_said_with_whom_it_bends():
    journeys = rolled(as_of="2030-01-01")
    remark = kinds(journeys)["as_of beyond the log"]
    events, end = sample()[0], datetime(2026, 1, 1, tzinfo=UTC)
    firsts = {
        name: dict(
            events.filter(event=name).group_by("user_id").agg(pl.col("at").min()).iter_rows()
        )
        for name in ("signed_up", "first_project")
    }
    windows = {"signed_up": 14, "first_project": journeys.definition.habit_days}
    open_ = 0
    for user in firsts["signed_up"]:
        last = "first_project" if user in firsts["first_project"] else "signed_up"
        open_ += firsts[last][user] + timedelta(days=windows[last]) > end
    assert (remark.users, remark.share) == (open_, open_ / len(firsts["signed_up"]))
    assert open_ > 20
    assert "ends on 2026-01-01" in remark.text
    assert rolled(as_of="2026-01-03").remarks == ()
    # Longer windows: more users are judged by days that nobody recorded.
    withheld(rolled(as_of="2026-06-01", activation_days=100), "as_of beyond the log")


def test_a_log_that_came_to_its_end_is_only_remarked_on():
    rows = [(u, e, datetime(2026, 1, 1) + timedelta(days=d)) for u in range(80) for e, d in [("join", 0), ("make", 1), *[("make", 4)][: u % 4 == 0]]]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")
    definition = ek.Definition(signup="join", activation="make", core="make", targets={"activation": 0.35, "habit": 0.5})  # fmt: skip
    found = ek.prioritize(ek.rollup(log, definition, as_of="2026-04-01"))
    assert found.link == "habit"
    assert "as_of lies 86 days behind the log" in " ".join(found.warnings)


def test_rows_that_differ_in_any_column_of_the_source_are_no_duplicates(tmp_path):
    rated = "user_id,event,at,film\n1,rate,2026-01-01,a\n1,rate,2026-01-01,b\n1,rate,2026-01-01,b\n"
    (tmp_path / "a.csv").write_text(rated, encoding="utf-8")
    (tmp_path / "b.csv").write_text(rated.replace(",b", ",c"), encoding="utf-8")
    assert scanned(tmp_path / "a.csv", dedupe=True, cache=False).height == 2
    assert scanned(tmp_path / "*.csv", dedupe=True, cache=False).height == 3  # a, b and c
    assert scanned(tmp_path / "a.csv", dedupe=True, cache=tmp_path / "cache").columns == ["user_id", "event", "at"]  # fmt: skip
    frame = pl.read_csv(tmp_path / "a.csv")
    assert scanned(frame, dedupe=True).height == 2
    frame.write_parquet(tmp_path / "a.parquet")
    assert scanned(tmp_path / "a.parquet", dedupe=True).height == 2
    # Of a log whose other columns are gone, only the three are compared, and that is said.
    row = ek.check_events(scanned(frame)).filter(check="exact duplicates").row(0, named=True)
    assert row["count"] == 2
    assert row["example"].endswith("3 times for one user (compared: user, event and time)")
    whole = ek.check_events(frame.with_columns(pl.col("at").str.to_date()))
    assert whole.filter(check="exact duplicates")["count"].item() == 1


@pytest.mark.parametrize("unit", [None, "ms"])
def test_times_that_a_spreadsheet_rounded_are_refused(tmp_path, unit):
    rows = "user_id,event,at\na,x,1.77236E+12\nb,y,1.77237E+12\n"
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(
        ek.EngagekitError, match=r"2 .*such as 1\.77236E\+12, which a spreadsheet has rounded"
    ):
        scanned(tmp_path / "a.csv", at_format=unit, cache=False)
    exact = rows.replace("1.77236E+12", "1772360000000").replace("1.77237E+12", "1772370000000.0")
    (tmp_path / "b.csv").write_text(exact, encoding="utf-8")
    assert scanned(tmp_path / "b.csv", at_format="ms", cache=False).height == 2


def test_ids_of_a_users_table_that_the_log_cannot_hold():
    log = pl.DataFrame([(1, "in", date(2026, 1, 1)), (1, "make", date(2026, 1, 2))], schema={"user_id": pl.Int16, "event": pl.String, "at": pl.Date}, orient="row")  # fmt: skip
    definition = ek.Definition(signup="in", activation="make", core="make")
    with pytest.raises(ek.EngagekitError, match=r"1 ids do not fit into the log's Int16; cast 'user_id' of the log to Int64") as error:  # fmt: skip
        ek.rollup(log, definition, users=pl.DataFrame({"user_id": [1, 70_000]}))
    assert "70" not in str(error.value)
    with pytest.raises(ParameterError, match="definition is a dict"):
        ek.rollup(log, {"core": "make"})
