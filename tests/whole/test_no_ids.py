"""No refusal, warning, screen or file names a user, unless asked to: everything that knows an id is made to speak."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit.cli import main
from engagekit.errors import ColumnError, EngagekitWarning, faults_of, private, shape
from engagekit.reporting import mind

SECRET = "jane@secret.example"
START = datetime(2026, 1, 1, 9)
D = ek.Definition(name="Own", signup="join", activation="make", core="make")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ENGAGEKIT_CACHE", str(tmp_path / "cache"))


def log(ids=tuple(f"{k}-{SECRET}" for k in range(12))):
    rows = [
        (user, event, START + timedelta(hours=k))
        for user in ids
        for k, event in enumerate(["join", "make", "make"])
    ]
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row")


def csv(tmp_path, text, name="log.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


FIRST = log()["user_id"][0]
HEAD = "user_id,event,at\n"
# Each is read by scan_events, and refused.
BROKEN = {
    "a field too many": HEAD + f"{SECRET},join,2026-01-01,more\n",
    "a quote in a field": HEAD + f'{SECRET},"join,2026-01-01\n',
    "a stray quote": HEAD + f'{SECRET},jo"in,2026-01-01\n{SECRET},"a,b",2026-01-01\n',
    "ids in two forms": HEAD + "4711,join,2026-01-01\n4711.0,make,2026-01-02\n",
}
LINES = {
    "no JSON": f'{{"user_id": "{SECRET}", "event": oops}}\n',
    "cut off": f'{{"user_id": "{SECRET}", "event": "a", "at": "2026',
    "no object": f'{{"event": "a"}}\n["{SECRET}"]\n',
}


@pytest.mark.parametrize("name", BROKEN | LINES)
def test_a_broken_file_is_told_by_its_shape(tmp_path, name):
    path = csv(tmp_path, (BROKEN | LINES)[name], "log.ndjson" if name in LINES else "log.csv")
    with pytest.raises(ek.EngagekitError) as error:
        ek.scan_events(path).collect()
    for told in (str(error.value), repr(error.value), *error.value.faults):
        assert SECRET not in told
        assert "4711" not in told
    named = "'4711'" if name == "ids in two forms" else SECRET
    assert named in error.value.with_ids or name == "a quote in a field"


def test_a_line_in_another_encoding_is_told_by_its_shape(tmp_path):
    (tmp_path / "log.csv").write_bytes(f"{HEAD}{SECRET}-Müller,join,2026-01-01\n".encode("cp1252"))
    with pytest.raises(ek.EngagekitError, match="ü") as error:
        ek.scan_events(tmp_path / "log.csv").collect()
    assert "jane" not in str(error.value)
    assert "Müller" in error.value.with_ids


def users(*rows, **more):
    return pl.DataFrame([{"user_id": row} | more for row in rows])


REFUSED = {
    "users twice": lambda: ek.rollup(log(), D, users=users(FIRST, FIRST)),
    "outcome twice": lambda: ek.compare_first_weeks(
        ek.rollup(log(), D),
        outcome=pl.DataFrame({"user_id": [FIRST] * 2, "retained": [True, False]}),
    ),
    "aliases of two": lambda: ek.scan_events(
        log(), identities=pl.DataFrame({"alias": [SECRET] * 2, "user_id": ["a", "b"]})
    ).collect(),
    "aliases in a circle": lambda: ek.scan_events(
        log(), identities=pl.DataFrame({"alias": [SECRET, "b"], "user_id": ["b", SECRET]})
    ).collect(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_nobody_and_the_error_knows_whom(name):
    with pytest.raises(ek.EngagekitError) as error:
        REFUSED[name]()
    assert SECRET not in str(error.value)
    assert not any(SECRET in fault for fault in error.value.faults)
    assert SECRET in error.value.with_ids


def test_ids_of_another_kind_are_told_by_their_shape(tmp_path):
    path = csv(tmp_path, f"user_id,plan\n{SECRET},free\n7,pro\n", "users.csv")
    with pytest.raises(ek.EngagekitError, match=r"'xxxx@xxxxxx\.xxxxxxx'") as error:
        ek.read_users(path, ids=pl.Int64())
    assert SECRET in error.value.with_ids


def test_a_remark_names_nobody():
    capitals = users(*[f"{k}-{SECRET.upper()}" for k in range(12)])
    journeys = ek.rollup(log(), D, users=capitals)
    told = [remark.text for remark in journeys.remarks]
    assert any("match in part" in text for text in told)
    assert SECRET not in " ".join(told).lower()


@pytest.fixture
def given(tmp_path):
    log().write_csv(tmp_path / "log.csv")
    D.save(tmp_path / "d.toml")
    users(FIRST, FIRST).write_csv(tmp_path / "twice.csv")
    users(*[f"{k}-{SECRET.upper()}" for k in range(12)]).write_csv(tmp_path / "strangers.csv")
    return tmp_path


def test_the_command_line_names_nobody_unless_asked(given, capsys):
    asked = ["diagnose", str(given / "log.csv"), "-d", str(given / "d.toml"), "--users", str(given / "twice.csv")]  # fmt: skip
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert SECRET not in said
    assert "more than one row" in said
    assert "--show-ids shows them" in said
    for order in ([*asked, "--show-ids"], ["--show-ids", *asked]):
        assert main(order) == 2
        said = capsys.readouterr().err
        assert FIRST in said
        assert "--show-ids shows them" not in said


def test_warnings_of_the_command_line_name_nobody_unless_asked(given, monkeypatch, capsys):
    asked = ["diagnose", str(given / "log.csv"), "-d", str(given / "d.toml"), "--users", str(given / "strangers.csv")]  # fmt: skip
    real = ek.rollup

    def warning(*args, **kwargs):
        warnings.warn(EngagekitWarning(f"look at {private(SECRET)}"), stacklevel=2)
        return real(*args, **kwargs)

    monkeypatch.setattr(ek, "rollup", warning)
    for more, named in ((["--show-ids"], True), ([], False)):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = mind
            assert main([*asked, *more]) == 0
        told = capsys.readouterr()
        assert "Mind: look at" in told.err
        assert (SECRET in told.out + told.err) == named


def test_the_screen_the_check_and_json_name_nobody(given, capsys):
    pl.concat([log(), log().head(4)]).write_csv(given / "log.csv")
    for order in (
        ["diagnose", str(given / "log.csv"), "-d", str(given / "d.toml")],
        ["diagnose", str(given / "log.csv"), "-d", str(given / "d.toml"), "--json"],
        ["check", str(given / "log.csv")],
    ):
        assert main(order) == 0
        assert SECRET not in capsys.readouterr().out


def test_errors_made_of_errors_keep_what_is_private_apart():
    first = ColumnError.from_faults("A", [f"one {private('ann')}", "two"])
    both = ColumnError.from_faults("B", [*faults_of(first), *faults_of(ColumnError(f"x {private('bob')}"))])  # fmt: skip
    assert str(both) == "B: 3 faults\n  1. one (an id)\n  2. two\n  3. x (an id)"
    assert both.with_ids == "B: 3 faults\n  1. one ann\n  2. two\n  3. x bob"
    assert both.faults == ("one (an id)", "two", "x (an id)")
    assert faults_of(ValueError("plain")) == ["plain"]
    with warnings.catch_warnings():
        assert str(EngagekitWarning(f"see {private(7)}")) == "see (an id)"


@pytest.mark.parametrize("name", ["\ue000a\ue001b\ue002", "\ue001", "\ue000", "a\ue002b"])
def test_no_id_can_pretend_to_be_told(name):
    error = ColumnError(f"such as {private(name)} and {shape(name)}; mend it")
    assert "a" not in str(error).replace("such as", "").replace("an id", "").replace("and", "")
    assert not set("\ue000\ue001\ue002") & set(str(error) + error.with_ids)
