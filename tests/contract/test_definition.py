from __future__ import annotations

import dataclasses
import json
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engagekit as ek
from engagekit._base.atomic_files import write_whole
from engagekit.definition import LINKS, Definition
from engagekit.errors import DefinitionError, EngagekitError, StoredFileError

FULL = Definition(
    name="Trailhead",
    signup="signed_up",
    activation="first_project",
    core=["published", ek.Match("order", status=["paid", "shipped"])],
    steps=[ek.Step("Connect", reached="start", completed="done"), ek.Step("Invite", completed="sent")],
    advanced=["automation", ek.Match("report", kind="custom"), ["a", "b"]],
    advocacy=["invite_sent"],
    outreach="email",
    timezone="Europe/Berlin",
    week_start="sunday",
    outcome_days=(28, 42),
    targets={"habit": 0.5, "activation": 0.35},
)  # fmt: skip


def test_a_saved_definition_loads_as_it_was(tmp_path):
    FULL.save(tmp_path / "d.toml")
    assert Definition.load(tmp_path / "d.toml").to_table() == FULL.to_table()
    assert list(FULL.targets) == ["activation", "habit"]  # in the order of the loop


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"habit_days": 0}, "habit_days is 0"),
        ({"habit_days": True}, "habit_days is True"),
        ({"activation_days": None}, "activation_days is None"),
        ({"depth_uses": 1.5}, "depth_uses is 1.5"),
        ({"first_days": 32}, "at most 31"),
        ({"burn_in_days": -1}, "at least 0"),
        ({"usage_interval_days": 0}, "usage_interval_days is 0"),
        ({"outcome_days": (28,)}, "two whole numbers"),
        ({"outcome_days": (28, 28)}, "must end after it starts"),
        ({"outcome_days": (13, 42)}, "must not overlap"),
        ({"timezone": "Europe/Berlyn"}, "'Europe/Berlin'"),
        ({"week_start": "Sunday"}, "'sunday'"),
        ({"targets": {"activaton": 0.3}}, "Did you mean 'activation'"),
        ({"targets": {"habit": 35}}, "between 0 and 1"),
        ({"targets": {"habit": 1.0}}, "between 0 and 1"),
        ({"targets": ["habit"]}, "takes link names with rates"),
        ({"activation": None}, "activation is missing"),
        ({"core": []}, "core: [] names no event"),
        ({"advanced": [3]}, "advanced: 3 names no event"),
        ({"advocacy": 3}, "advocacy is 3"),
        ({"steps": ["signup"]}, "each step is an ek.Step"),
        ({"steps": [ek.Step("a"), ek.Step("a")]}, "steps are named twice"),
        ({"steps": [ek.Step(" ")]}, "needs one in words"),
        ({"name": ""}, "name is ''"),
        ({"activation_days": 99_999}, "at most 36,500"),
        ({"usage_interval_days": 99_999}, "at most 36,500"),
        ({"outcome_days": (28, 99_999)}, "ends at most on day 36,500"),
    ],
)
def test_each_fault_is_named(changes, words):
    with pytest.raises(DefinitionError) as caught:
        dataclasses.replace(FULL, **changes)
    assert words in str(caught.value)


def test_all_faults_come_at_once():
    with pytest.raises(DefinitionError, match="3 faults"):
        dataclasses.replace(FULL, habit_days=0, week_start="freitag", targets={"habit": 2})


def test_a_single_name_where_a_list_belongs_is_a_list_of_one():
    made = Definition(activation="a", core="b", advanced="report", advocacy="invite")
    assert made.advanced == ("report",)
    assert list(made.roles()) == ["core", "advanced:report", "advocacy"]


def test_windows_follow_the_usage_interval():
    plain = Definition(activation="a", core="b")
    found = [
        (d.habit_days, d.depth_days, d.depth_within_days, d.outcome_days)
        for d in (plain.resolved(u) for u in (5.8, 6, 7, 11.6, 14, 20, 31, 40, 76, 130))
    ]
    assert found == [
        (7, 35, 30, (28, 42)),
        (14, 70, 30, (28, 42)),  # a fifth above 6 days lie beyond 7
        (14, 70, 30, (28, 42)),
        (14, 70, 30, (28, 42)),
        (31, 140, 62, (62, 93)),
        (31, 140, 62, (62, 93)),
        (61, 140, 122, (122, 183)),
        (61, 140, 122, (122, 183)),
        (91, 182, 182, (182, 273)),  # depth takes two habit windows at least
        (91, 182, 182, (182, 273)),
    ]
    own = dataclasses.replace(plain, habit_days=3, depth_days=10, signup="s").resolved(40)
    assert (own.habit_days, own.depth_days, own.burn_in_days) == (3, 10, None)
    assert (
        plain.resolved(7).burn_in_days == 90
    )  # no sign-up event, so the first 90 days only warm up


def test_burn_in_of_nought_days_stays():
    assert Definition(activation="a", core="b", burn_in_days=0).resolved(7).burn_in_days == 0


def test_files_that_are_no_definition(tmp_path):
    path = tmp_path / "d.toml"
    with pytest.raises(DefinitionError, match="There is no definition file"):
        Definition.load(path)
    path.write_text("activation = [", encoding="utf-8")
    with pytest.raises(DefinitionError, match="cannot be read as TOML"):
        Definition.load(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(DefinitionError, match="UTF-8"):
        Definition.load(path)
    path.write_text('activaton = "a"\ncore = "b"\n[[steps]]\nnam = "x"\n', encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        Definition.load(path)
    for words in (
        "Did you mean 'activation'",
        "activation is missing",
        "'nam'",
        "step 1 has no name",
    ):
        assert words in str(caught.value)
    path.write_text('schema_version = 99\nactivation = "a"\ncore = "b"\n', encoding="utf-8")
    with pytest.raises(StoredFileError, match="newer engagekit"):
        Definition.load(path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "d.toml").write_bytes(b'\xef\xbb\xbfactivation = "a"\ncore = "b"\n')
    assert Definition.load(tmp_path / "d.toml").activation == "a"


def test_matchers_and_properties_are_listed():
    assert FULL.event_names()[:4] == ("signed_up", "first_project", "published", "order")
    assert FULL.property_names() == ("status", "kind")
    assert "step 'Connect' reached" in FULL.matchers()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.sampled_from(
    [*(f.name for f in dataclasses.fields(Definition)), "schema_version", "other"]
)


@given(st.dictionaries(keys, values, max_size=6))
def test_any_table_is_a_definition_or_our_own_error(table):
    try:
        made = Definition.from_table({"activation": "a", "core": "b"} | table)
    except EngagekitError:
        return
    assert Definition.from_table(made.to_table()).to_table() == made.to_table()
    assert set(made.targets) <= set(LINKS)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_a_written_file_has_the_usual_permissions_and_keeps_those_it_had(tmp_path):
    path, usual = tmp_path / "definition.toml", tmp_path / "usual"
    before = os.umask(0o027)
    try:
        write_whole(path, b"one")
        usual.write_bytes(b"")
        assert path.stat().st_mode == usual.stat().st_mode
        path.chmod(0o604)
        write_whole(path, b"two")
    finally:
        os.umask(before)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o604)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["definition.toml", "usual"]


def test_a_file_counts_its_faults_and_the_definitions_together():
    with pytest.raises(DefinitionError) as error:
        Definition.from_table({"core": 3, "foo": 1, "habit_days": -1})
    assert len(error.value.faults) == 4
    assert "4 faults" in str(error.value)
    for named in ("'foo'", "activation is missing", "core: 3", "habit_days is -1"):
        assert named in str(error.value)


# How the log is read, and the schema of the file ------------------------------------------------------------------------


def schema():
    from engagekit.definition import schema_path

    return json.loads(schema_path().read_text(encoding="utf-8"))


def test_the_schema_knows_every_key_and_nothing_else():
    known = schema()["properties"]
    assert set(known) == {f.name for f in dataclasses.fields(ek.Definition)} | {"schema_version"}
    assert set(known["read"]["properties"]) == {f.name for f in dataclasses.fields(ek.Read)}


SOUND = [
    ek.Definition(activation="a", core=["a", ek.Match("b", c=1)]),
    ek.Definition(activation=ek.Match("a", times=3), core=ek.Match("b", c=ek.Not("x", None)), advanced=["c", ["d", "e"]]),
    ek.Definition(activation=ek.All("a", ek.Match("b", c=[True, None])), core="a", steps=[ek.Step("S", "x", "y")], targets={"habit": 0.5}),
    ek.Definition(activation="a", core="b", read=ek.Read(user="Customer ID", at=["date", "time"], event="=purchase", dedupe="insert_id"), guessed=True),
    ek.Definition(activation="a", core="b", annotations=[ek.Note("2026-03-01", "new editor")]),
]  # fmt: skip


@pytest.mark.parametrize("sound", SOUND)
def test_the_schema_takes_what_is_sound(sound):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(sound.to_table(), schema())


@pytest.mark.parametrize(
    "broken",
    [
        {"core": "a"}, {"activation": "a", "core": ""}, {"activation": "a", "core": "b", "colour": 1},
        {"activation": "a", "core": {"event": "b", "times": 2}}, {"activation": {"all": ["a"]}, "core": "b"},
        {"activation": "a", "core": "b", "targets": {"habit": 50}}, {"activation": "a", "core": "b", "read": {"usr": "x"}},
    ],
)  # fmt: skip
def test_schema_and_library_refuse_alike(broken):
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema())
    with pytest.raises(ek.EngagekitError):
        ek.Definition.from_table(broken)


def test_the_definitions_of_the_shared_logs_fit_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    for path in (Path(__file__).parents[1] / "definitions").glob("*.toml"):
        jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"usr": "x"},
        {"skip": -1},
        {"columns": []},
        {"timezone": "Mars"},
        {"identities": "file"},
        3,
        {"user": ""},
    ],
)
def test_how_a_log_is_read_must_mean_something(wrong):
    with pytest.raises(DefinitionError, match="read"):
        ek.Definition.from_table({"activation": "a", "core": "b", "read": wrong})


def test_a_log_is_read_as_its_definition_says(tmp_path):
    rows = ["Customer ID,When,What,plan"] + [
        f"u{n},2026-03-0{d} 09:00,{e},pro" for n in range(3) for d, e in ((1, "join"), (2, "make"))
    ]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    made = ek.Definition(
        signup="join", activation="make", core=ek.Match("make", plan="pro"), timezone="Europe/Berlin",
        read=ek.Read(user="Customer ID", at="When", event="What"),
    )  # fmt: skip
    made.save(tmp_path / "d.toml")
    assert ek.Definition.load(tmp_path / "d.toml").to_table() == made.to_table()
    log = ek.scan_events(tmp_path / "log.csv", definition=made, cache=tmp_path / "c").collect()
    assert log.columns == ["user_id", "event", "at", "plan"]
    assert log["at"].min().isoformat() == "2026-03-01T08:00:00+00:00"
    elsewhere = ek.scan_events(
        tmp_path / "log.csv", definition=made, timezone="UTC", cache=tmp_path / "c"
    ).collect()
    assert elsewhere["at"].min().hour == 9
    journeys = ek.rollup(str(tmp_path / "log.csv"), tmp_path / "d.toml")
    assert journeys.users["core_days"].to_list() == [1, 1, 1]
