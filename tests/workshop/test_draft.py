"""What is drafted from a log: columns, events, roles; on logs of others, exports, and products with names of no meaning."""

from __future__ import annotations

import dataclasses
import gzip
import json
import random
import tomllib
import zipfile
from datetime import datetime, timedelta

import polars as pl
import pytest
from real_logs import definition as expert

import engagekit as ek
from engagekit.errors import EventLogError, ParameterError
from engagekit.matchers import event_names, to_plain


def shop(seed=0, users=800):
    """A product of our own: sign up, fill a form, import, then notes again and again; some share. Begun by opening it."""
    rng = random.Random(seed)
    rows = []
    for n in range(users):
        at = datetime(2026, 1, 1) + timedelta(days=rng.uniform(0, 90))
        user = f"u{n:04}"
        rows += [(user, "Account Created", at), (user, "App Opened", at + timedelta(minutes=1))]
        if rng.random() < 0.25:
            continue
        rows.append((user, "Profile Filled", at + timedelta(minutes=5)))
        if rng.random() < 0.4:
            continue
        at += timedelta(minutes=30)
        rows.append((user, "Contacts Imported", at))
        for _ in range(rng.choice([0, 1, 4, 12, 20])):
            at += timedelta(days=rng.expovariate(1 / 4) + 0.01)
            rows += [(user, "App Opened", at), (user, "Note Written", at + timedelta(minutes=2))]
            if rng.random() < 0.1:
                rows.append((user, "Note Shared", at + timedelta(minutes=9)))
    return pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row").filter(
        pl.col("at") < datetime(2026, 6, 1)
    )


EXPERT = ek.Definition(
    signup="Account Created", activation="Contacts Imported", core="Note Written"
)


def odd_csv(folder):
    path = folder / "odd.csv"
    named = {"user_id": "Customer ID", "event": "Action name", "at": "Occurred At (UTC)"}
    shop().with_columns(pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S")).rename(named).write_csv(path)
    return path


def amplitude_zip(folder):
    path = folder / "amplitude.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for (day,), rows in (
            shop(1)
            .with_columns(day=pl.col("at").dt.date())
            .partition_by("day", as_dict=True)
            .items()
        ):
            lines = [
                json.dumps({"user_id": u, "amplitude_id": 7, "device_id": "d" + u, "event_type": e,
                            "event_time": f"{at:%Y-%m-%d %H:%M:%S.%f}", "event_properties": {}, "user_properties": {}})
                for u, e, at in rows.select("user_id", "event", "at").iter_rows()
            ]  # fmt: skip
            archive.writestr(
                f"12345/12345_{day}_0.json.gz", gzip.compress("\n".join(lines).encode())
            )
    return path


def posthog_parquet(folder):
    path = folder / "posthog.parquet"
    shop(2).select(
        pl.lit("x").alias("uuid"), "event", pl.lit("{}").alias("properties"), pl.col("user_id").alias("distinct_id"),
        pl.col("at").dt.replace_time_zone("UTC").alias("timestamp"), pl.lit("{}").alias("person_properties"),
    ).write_parquet(path)  # fmt: skip
    return path


def judged(made, wise):
    """Whether sign-up is right, core is right or the second candidate, and activation differs where the expert's does."""
    core = set(event_names(wise.core))
    told = next(c for c in made.choices if c.role == "core")
    return (
        made.definition.signup == wise.signup,
        made.definition.core in core or bool({o.split(" (")[0] for o in told.others[:1]} & core),
        to_plain(made.definition.activation) != to_plain(made.definition.core),
    )


@pytest.mark.thorough
@pytest.mark.parametrize("make", [odd_csv, amplitude_zip, posthog_parquet])
def test_from_an_export_to_a_verdict_without_a_flag(make, tmp_path, capsys):
    from engagekit.cli import main

    log, out = make(tmp_path), tmp_path / "d.toml"
    assert main(["draft", str(log), "-o", str(out), "--cache", str(tmp_path / "c")]) == 0
    assert "Note Written" in capsys.readouterr().out
    assert main(["diagnose", str(log), "-d", str(out), "--cache", str(tmp_path / "c")]) == 0
    made = ek.Definition.load(out)
    assert (made.signup, made.activation, made.core) == (
        "Account Created",
        "Contacts Imported",
        "Note Written",
    )
    assert made.guessed
    assert list(made.advocacy) == ["Note Shared"]
    assert out.read_text().startswith("#:schema file:")


@pytest.mark.thorough
def test_the_sample_is_drafted_as_its_definition_says():
    sample = ek.load_sample()
    made = ek.draft(sample.events)
    assert judged(made, sample.definition) == (True, True, True)
    assert made.definition.activation == "first_project"
    assert set(made.definition.advanced) == set(sample.definition.advanced)
    assert [s.reached for s in made.definition.steps] == [
        s.reached for s in sample.definition.steps
    ]
    for role in ("outreach", "feedback_asked", "feedback_given", "errors", "support"):
        assert getattr(made.definition, role) == getattr(sample.definition, role), role


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["travelse", "oulad", "gcc"])
def test_real_logs_are_drafted_as_an_expert_would_begin(shared, tmp_path, name):
    file = {"gcc": "gcc_contributor"}.get(name, name)
    made = ek.draft(shared / "data" / f"{file}_events.parquet")
    wise = expert(name)
    assert judged(made, wise) == (True, True, True)
    assert made.definition.core in event_names(wise.core)
    # What an expert would take is among the first three; a count or a pair may go with coming back more closely.
    told = next(c for c in made.choices if c.role == "activation")
    first_three = {*event_names(told.value), *(o.split(" (")[0] for o in told.others[:2])}
    assert first_three & set(event_names(wise.activation))
    assert made.definition.read == ek.Read(at="timestamp")
    made.save(tmp_path / "d.toml")
    assert ek.Definition.load(tmp_path / "d.toml").to_table() == made.definition.to_table()


SYLLABLES = ["ba", "ko", "mu", "ri", "ze", "ta", "lo", "fi", "nu", "sha"]


def nonsense(names, seed):
    rng = random.Random(seed)
    words = set()
    while len(words) < len(names):
        words.add("".join(rng.choice(SYLLABLES) for _ in range(4)))
    return dict(zip(sorted(names), rng.sample(sorted(words), len(names)), strict=True))


PRODUCTS = [
    {"mix": "balanced"}, {"mix": "friction"}, {"mix": "repeat_value", "errors": True}, {"mix": "discovery", "cadence_days": 8},
    {"mix": "re_engagement", "outreach": True}, {"mix": "healthy", "feedback": True}, {"rates": {"habit": 0.4}},
    {"rates": {"activation": 0.2}, "null_events": 4}, {"cadence_days": 2, "null_events": 6}, {"weekend": 0.1, "tries": 0.6},
    {"mix": "progress", "null_events": 3, "outreach": True}, {"dirt": 0.02, "feedback": True, "errors": True},
]  # fmt: skip


@pytest.mark.thorough
def test_products_whose_names_mean_nothing():
    cores, activations, told = 0, 0, []
    for seed, about in enumerate(PRODUCTS):
        made = ek.simulate(users=1500, seed=100 + seed, **about)
        names = nonsense(made.events["event"].unique().to_list(), seed)
        log = made.events.with_columns(pl.col("event").replace_strict(names))
        found = ek.draft(log)
        by_role = {choice.role: choice for choice in found.choices}
        core = found.definition.core == names[made.definition.core]
        first_three = [to_plain(found.definition.activation), *by_role["activation"].others]
        activation = any(
            str(a).split(" (")[0] == names[made.definition.activation] for a in first_three
        )
        cores, activations = cores + core, activations + activation
        told.append((about, core, activation))
    assert cores >= 10, told
    assert activations >= 10, told


def test_the_file_explains_every_choice(tmp_path):
    made = ek.draft(shop())
    text = made.toml()
    assert ek.Definition.from_table(tomllib.loads(text)) == made.definition
    for words in (
        "# Sign-up:",
        "# Core action:",
        "# Activation:",
        "# Steps",
        "users who do it",
        "# [targets]",
    ):
        assert words in text
    assert "Note Written" in str(made)


def test_names_cannot_leave_their_comment():
    evil = 'x\ncore = "y"'
    log = shop().with_columns(pl.col("event").replace({"Note Shared": evil}))
    assert ek.Definition.from_table(tomllib.loads(ek.draft(log).toml())).core == "Note Written"


def test_an_ambiguous_column_is_asked_for_by_the_flag(tmp_path):
    log = (
        shop()
        .rename({"user_id": "alpha", "event": "beta", "at": "time"})
        .with_columns(gamma="alpha")
    )
    log.with_columns(gamma=pl.col("alpha").str.reverse()).write_csv(tmp_path / "log.csv")
    with pytest.raises(ParameterError, match="--user alpha") as error:
        ek.draft(tmp_path / "log.csv")
    assert "--user gamma" in str(error.value)


def test_a_log_without_actions_or_columns_is_refused(tmp_path):
    with pytest.raises(EventLogError, match="no core action"):
        ek.draft(shop().filter(pl.col("event") == "Account Created"))
    (tmp_path / "log.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ParameterError, match="--at"):
        ek.draft(tmp_path / "log.csv")


def test_a_log_of_two_days_gets_a_draft_that_says_what_it_cannot_know():
    made = ek.draft(shop().filter(pl.col("at") < datetime(2026, 1, 3)))
    assert made.definition.signup == "Account Created"


@pytest.mark.thorough
def test_targets_to_start_from_are_shown_and_none_is_set(tmp_path):
    """As `suggest_targets` has them under the drafted definition; a file with them uncommented is a definition with them."""
    made = ek.draft(shop())
    expected = ek.suggest_targets(ek.rollup(shop(), made.definition))
    assert made.targets is not None
    assert made.targets.equals(expected)
    told = [r for r in expected.to_dicts() if r["suggested"] is not None and r["of"] >= 10]
    assert {"activation", "habit"} <= {r["link"] for r in told}
    made.save(tmp_path / "d.toml")
    text = (tmp_path / "d.toml").read_text()
    assert ek.Definition.load(tmp_path / "d.toml").targets == {}
    for row in told:
        assert f"# {row['link']} = {row['suggested']:.2f}  # now {row['rate']:.0%} of {row['of']:,}; from" in text  # fmt: skip
        assert f"  {row['link']}: {row['suggested']:.0%} (now {row['rate']:.0%}" in str(made)
    lines = [line for line in text.splitlines() if "[targets]" in line or line.startswith(tuple(f"# {r['link']} = 0" for r in told))]  # fmt: skip
    (tmp_path / "set.toml").write_text(text.replace("\n".join(lines), "\n".join(line.removeprefix("# ") for line in lines)))  # fmt: skip
    chosen = ek.Definition.load(tmp_path / "set.toml").targets
    assert chosen == {r["link"]: pytest.approx(round(r["suggested"], 2)) for r in told}


@pytest.mark.thorough
@pytest.mark.parametrize("activation", [
    ek.Match("Note Written", times=3), ek.All("Contacts Imported", ek.Match("Profile Filled", times=2)), ek.Match("a \"b\"", kind=["x", None]),
    ["a", ek.Match("b", **{"odd key": ek.Not("x", None)})], ek.Match("a", n=1, yes=True, size=2.5),
])  # fmt: skip
def test_whatever_is_drafted_is_written_so_that_it_is_read_again(tmp_path, activation):
    made = ek.draft(shop())
    whole = dataclasses.replace(made.definition, activation=activation, advanced=[ek.Match("z", k="v"), "y"], advocacy=[ek.Match("w", k=1)])  # fmt: skip
    choices = [*made.choices, *[dataclasses.replace(made.choices[0], role=role) for role in ("advanced", "advocacy")]]  # fmt: skip
    dataclasses.replace(made, definition=whole, choices=tuple(choices)).save(tmp_path / "d.toml")
    assert ek.Definition.load(tmp_path / "d.toml").to_table() == whole.to_table()


def test_a_log_too_small_to_judge_shows_no_targets():
    few = shop().filter(
        pl.col("user_id").is_in(shop()["user_id"].unique().sort().head(8).implode())
    )
    made = ek.draft(few)
    assert "Targets to start from" not in str(made)
    assert "# activation = 0.35" in made.toml()


@pytest.mark.thorough
def test_start_prints_and_marks_its_guess(tmp_path, capsys):
    from engagekit.cli import main

    log = odd_csv(tmp_path)
    assert (
        main(["start", str(tmp_path / "ws"), "--events", str(log), "--cache", str(tmp_path / "c")])
        == 0
    )
    said = capsys.readouterr().out
    assert "nobody has confirmed" in said and "Note Written" in said  # noqa: PT018
    text = (tmp_path / "ws" / "team" / "definition.toml").read_text()
    assert "guessed = true" in text and "# Activation" in text  # noqa: PT018
    assert main(["diagnose", str(tmp_path / "ws" / "team")]) == 0
    assert "habit" in capsys.readouterr().out.casefold()
    # A workshop folder may hold teams of other minds, so the team is to be named, or the definition.
    assert main(["diagnose", str(tmp_path / "ws")]) == 2
    assert f"engagekit diagnose {tmp_path / 'ws' / 'team'}" in capsys.readouterr().err
    given = ["--definition", str(tmp_path / "ws" / "team" / "definition.toml")]
    assert main(["diagnose", str(tmp_path / "ws"), *given]) == 0
    assert "habit" in capsys.readouterr().out.casefold()


@pytest.mark.thorough
def test_a_prepared_log_keeps_its_definition(tmp_path, capsys):
    from engagekit.cli import main

    EXPERT.save(tmp_path / "d.toml")
    shop().write_parquet(tmp_path / "log.parquet")
    assert (
        main(
            [
                "prepare",
                str(tmp_path / "log.parquet"),
                str(tmp_path / "ready"),
                "-d",
                str(tmp_path / "d.toml"),
            ]
        )
        == 0
    )
    assert main(["diagnose", str(tmp_path / "ready")]) == 0
    assert "habit" in capsys.readouterr().out.casefold()


def test_an_only_action_that_looks_like_the_products_own_is_not_set_aside_and_chosen_at_once():
    """Everybody closes the books an hour after signing up: a pattern of the product's, and yet all there is."""
    months = [datetime(2025, month, 27, 10) for month in range(1, 13)]
    rows = []
    for user in range(300):
        mine = [day + timedelta(days=user % 3) for day in months[user % 9 :]]
        rows += [
            (user, "signup", mine[0] - timedelta(hours=1)),
            *((user, "close_books", day) for day in mine),
        ]
    made = ek.draft(pl.DataFrame(rows, schema=["user_id", "event", "at"], orient="row"))
    core = next(choice for choice in made.choices if choice.role == "core")
    assert core.value == "close_books"
    assert "not counted as an action" not in core.why
    assert "nothing in the log looks more like an action" in core.why
