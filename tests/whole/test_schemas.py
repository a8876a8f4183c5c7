"""What commands print with --json is what results return as plain values, and fits the schema that ships with them."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import engagekit as ek
from engagekit._base import as_plain
from engagekit.cli import main
from engagekit.cli.answers import in_json, schema_of

jsonschema = pytest.importorskip("jsonschema")
DEFINITION = ek.Definition(
    name="Shop", signup="join", activation="first", core="make", steps=[ek.Step("Look", completed="look")],
    annotations=[ek.Note("2026-01-05", "a day")], habit_days=7, targets={"activation": 0.5, "habit": 0.5},
)  # fmt: skip


def fits(answer, what):
    schema = schema_of(what)
    jsonschema.Draft7Validator.check_schema(schema)
    checker = jsonschema.FormatChecker(formats=["date"])
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(answer)
    return answer


def printed(capsys, *arguments):
    assert main([str(each) for each in arguments]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def log_of(users, days, *, passed=0.5):
    """Users of whom a share activates and comes back each week."""
    begun = datetime(2026, 1, 1, 9, tzinfo=UTC)
    rows = []
    for user in range(users):
        at = begun + timedelta(days=user % max(days - 60, 1), minutes=user)
        rows.append((f"u{user}", "join", at, user % 3))
        if user % 100 < passed * 100:
            rows += [(f"u{user}", "look", at + timedelta(hours=1), user % 3), (f"u{user}", "first", at + timedelta(hours=2), user % 3)]  # fmt: skip
            rows += [(f"u{user}", "make", at + timedelta(days=7 * k + 1), user % 3) for k in range(user % 8)]  # fmt: skip
    log = pl.DataFrame(rows, schema=["user_id", "event", "at", "tier"], orient="row")
    return log.filter(pl.col("at") < begun + timedelta(days=days)).sort("at")


CASES = {
    "targets": (DEFINITION, 600, 200, []),
    "30 users": (DEFINITION, 30, 120, []),
    "nobody can be judged": (DEFINITION, 40, 10, []),
    "no targets": (dataclasses.replace(DEFINITION, targets={}), 600, 200, []),
    "what changed, by group": (dataclasses.replace(DEFINITION, properties=["tier"]), 900, 220, ["--by", "tier", "--since", "2026-03-20"]),
    "first event, all links": (dataclasses.replace(DEFINITION, signup=None, burn_in_days=0, advanced=["look"], advocacy=["first"]), 300, 200, []),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dates_only", [False, True], ids=["times", "dates"])
def test_what_diagnose_prints_fits_its_schema(capsys, tmp_path, case, dates_only):
    definition, users, days, more = CASES[case]
    log = log_of(users, days)
    if dates_only:
        log = log.with_columns(pl.col("at").dt.date())
    log.write_parquet(tmp_path / "log.parquet")
    definition.save(tmp_path / "d.toml")
    answer = printed(
        capsys, "diagnose", tmp_path / "log.parquet", "-d", tmp_path / "d.toml", "--json", *more
    )
    fits(answer, "diagnose")
    if case == "no targets":
        assert answer["priority"]["verdict"] == "no targets"
        assert answer["suggested_targets"]
    if more:
        assert answer["change"]
        assert answer["priority"]["segments"]


@pytest.mark.thorough
def test_an_undecided_case_and_the_sample_fit_too(capsys, tmp_path):
    near = dataclasses.replace(DEFINITION, targets={"activation": 0.52})
    log_of(600, 200).write_parquet(tmp_path / "log.parquet")
    near.save(tmp_path / "d.toml")
    answer = printed(capsys, "diagnose", tmp_path / "log.parquet", "-d", tmp_path / "d.toml", "--json")  # fmt: skip
    assert fits(answer, "diagnose")["priority"]["verdict"] == "undecided"
    fits(printed(capsys, "diagnose", "--json", "--by", "plan"), "diagnose")


def test_the_answer_is_what_the_library_returns_as_plain_values(capsys, tmp_path):
    log = log_of(600, 200)
    log.write_parquet(tmp_path / "log.parquet")
    DEFINITION.save(tmp_path / "d.toml")
    answer = printed(capsys, "diagnose", tmp_path / "log.parquet", "-d", tmp_path / "d.toml", "--json")  # fmt: skip
    journeys = ek.rollup(log, DEFINITION)
    assert answer["priority"] == ek.prioritize(journeys).to_dict()
    assert answer["definition"] == journeys.definition.to_dict()
    assert answer["metrics"] == as_plain(ek.metrics(journeys))
    assert {name: answer[name] for name in ("users", "as_of", "left_out")}.items() <= journeys.to_dict().items()  # fmt: skip


@pytest.mark.thorough
def test_every_key_is_described_and_needed(capsys):
    answer = fits(printed(capsys, "diagnose", "--json"), "diagnose")
    for name in answer:
        with pytest.raises(jsonschema.ValidationError):
            fits({k: v for k, v in answer.items() if k != name}, "diagnose")
    for wrong in ({"more": 1}, {"users": "many"}, {"users": -1}, {"change": 1}, {"left_out": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            fits(answer | wrong, "diagnose")
    for name in answer["priority"]:
        with pytest.raises(jsonschema.ValidationError):
            fits(answer | {"priority": {k: v for k, v in answer["priority"].items() if k != name}}, "diagnose")  # fmt: skip
    for key, value in (("verdict", "broken"), ("link", "core"), ("probability", 2), ("table", {})):
        bent = copy.deepcopy(answer)
        bent["priority"][key] = value
        with pytest.raises(jsonschema.ValidationError):
            fits(bent, "diagnose")


@pytest.mark.thorough
@pytest.mark.parametrize("more", [[], ["--link", "core_days"]])
def test_what_experiment_prints_fits_its_schema(capsys, more):
    answer = printed(capsys, "experiment", "--json", *more)
    fits(answer, "experiment")
    for name in answer:
        with pytest.raises(jsonschema.ValidationError):
            fits({k: v for k, v in answer.items() if k != name}, "experiment")


def test_an_experiment_by_group_fits_its_schema():
    sample = ek.load_sample()
    journeys = ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)
    found = ek.experiment(journeys, by="plan").to_dict()
    assert found["segments"]
    fits(found, "experiment")


@pytest.mark.parametrize("what", ["definition", "diagnose", "experiment"])
def test_a_schema_is_printed_and_needs_no_other_file(capsys, what):
    schema = printed(capsys, "schema", what)
    assert schema == schema_of(what)
    assert {ref[:8] for ref in references(schema)} <= {"#/$defs/"}
    assert {ref[8:] for ref in references(schema)} <= schema["$defs"].keys()


def references(value):
    if isinstance(value, dict):
        mine = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return mine.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_what_is_no_number_is_null():
    told = in_json({"a": math.nan, "b": [math.inf, -math.inf], "c": pl.DataFrame({"x": [math.nan]})})  # fmt: skip
    assert json.loads(told, parse_constant=refuse) == {"a": None, "b": [None, None], "c": [{"x": None}]}  # fmt: skip
