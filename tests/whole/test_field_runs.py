"""The main command on real logs, and on logs made from the description of others: it ends well, with a verdict or "cannot say"."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import real_logs
import walking

import engagekit as ek
from engagekit.cli import main

VERDICTS = {"named", "undecided", "none broken", "no targets"}
START = datetime(2026, 1, 5, 8)


def ends_well(capsys, folder, events, definition, *more) -> dict:
    """Diagnose on the screen, as JSON and as a report; return the JSON."""
    definition.save(folder / "definition.toml")
    command = [
        "diagnose",
        events,
        "-d",
        folder / "definition.toml",
        "--cache",
        folder / "cache",
        *more,
    ]
    said = []
    for way in ([], ["--json"], ["--report", folder / "report.html"]):
        status = main([*map(str, [*command, *way])])
        out, err = capsys.readouterr()
        assert (status, "engagekit:" in err) == (0, False), err
        said.append(out)
    assert not walking.foreign(said[::2])
    priority = json.loads(said[1])["priority"]
    assert priority["verdict"] in VERDICTS
    sentence = said[0].split("\nVerdict\n")[1].split("\n\n")[0]
    assert len(sentence.split()) > 12
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    return priority


def plain(**events) -> ek.Definition:
    return ek.Definition(name="run", **events)


OULAD = {
    "guessed": None,
    "assessments": {"activation": "submit_assessment", "core": ["oucontent", "quiz", "forumng"]},
    "homepage": {"activation": "homepage", "core": "homepage"},
    "content, then assessments": {"activation": "oucontent", "core": "submit_assessment"},
    "homepage, then content": {"activation": "homepage", "core": "oucontent"},
}
TRAVELSE = {
    "guessed": None,
    "questions": {"activation": "ask_question", "core": ["ask_question", "post_answer", "comment"]},
    "answers": {"activation": "post_answer", "core": "post_answer", "advanced": ["edit_post"], "advocacy": ["offer_bounty"]},
}  # fmt: skip
GCC = {"guessed": None, "of experts": "gcc"}
REAL = [("oulad", "register", n, d) for n, d in OULAD.items()]
REAL += [("travelse", "signup", n, d) for n, d in TRAVELSE.items()]
REAL += [("gcc_contributor", None, n, d) for n, d in GCC.items()]


@pytest.mark.slow
@pytest.mark.parametrize(("log", "signup", "name", "given"), REAL, ids=[f"{r[0]}, {r[2]}" for r in REAL])  # fmt: skip
def test_real_logs(shared, tmp_path, capsys, log, signup, name, given):
    path = shared / "data" / f"{log}_events.parquet"
    if given is None:
        definition = ek.draft(path).definition
    else:
        definition = real_logs.definition(given) if isinstance(given, str) else plain(signup=signup, **given)  # fmt: skip
    ends_well(capsys, tmp_path, path, definition, "--at", "timestamp")


def test_the_bundled_sample(capsys):
    assert main(["diagnose"]) == 0
    assert "mend this first" in capsys.readouterr().out


def board_product(users: int = 1500):
    """A product of boards: "Created Board" is done once by half, and by all who are retained; others only look at theirs."""
    rng = random.Random(11)
    for number in range(users):
        user, at = f"c{number:05}", START + timedelta(minutes=100 * number)
        yield user, "Signed Up", at
        for _ in range(rng.randint(0, 4)):
            yield user, "Viewed Board", at + timedelta(days=14 * rng.random())
        if number % 2:
            yield user, "Created Board", at + timedelta(hours=1)
            if rng.random() < 0.4:
                for _ in range(rng.randint(4, 12)):
                    done = at + timedelta(days=70 * rng.random(), hours=2)
                    yield (
                        user,
                        rng.choice(["Shared Board", "Shared Board", "Used Automation"]),
                        done,
                    )


def approvals(cases: int = 1434):
    """A process of steps, T02 to T15, in which nobody who was sent back at T04 ever comes to the end."""
    rng = random.Random(5)
    for number in range(cases):
        case, at = f"case-{number}", START + timedelta(hours=2 * number)
        yield case, "Confirmation of receipt", at
        yield case, "T02 Check confirmation of receipt", at + timedelta(hours=rng.random() * 30)
        back = number % 5 == 0
        if back:
            yield case, "T04 Determine confirmation of receipt", at + timedelta(days=1)
        for step in range(0 if back else rng.randint(0, 6)):
            yield case, "T06 Determine necessity of stop advice", at + timedelta(days=2 + 8 * step)
        if not back and rng.random() < 0.8:
            yield case, "T10 Determine necessity to stop indication", at + timedelta(days=3)


def studies(users: int = 1200):
    """Courses: everybody opens the homepage before anything else, and who unregisters never comes back."""
    rng = random.Random(3)
    for number in range(users):
        user, at = str(number), START + timedelta(days=number % 40)
        yield user, "register", at
        if rng.random() < 0.1:
            continue
        visits = sorted(rng.randint(0, 13) for _ in range(rng.randint(1, 9)))
        for day in visits:
            yield user, "homepage", at + timedelta(days=day)
            if rng.random() < 0.6:
                yield user, rng.choice(["quiz", "forumng"]), at + timedelta(days=day, hours=1)
        if rng.random() < 0.2:
            yield user, "unregister", at + timedelta(days=13)
            continue
        for week in range(3, 12):
            if rng.random() < 0.5:
                yield user, "homepage", at + timedelta(days=7 * week)
                yield user, "quiz", at + timedelta(days=7 * week, hours=1)


MADE = {
    "boards, guessed": (board_product, None),
    "boards": (board_product, plain(signup="Signed Up", activation="Created Board", core="Shared Board", advanced=["Used Automation"])),
    "approvals": (approvals, plain(signup="Confirmation of receipt", activation="T02 Check confirmation of receipt", core="T06 Determine necessity of stop advice")),
    "studies, homepage": (studies, plain(signup="register", activation="homepage", core="homepage")),
    "studies, quiz": (studies, plain(signup="register", activation="homepage", core=["quiz", "forumng"])),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", MADE)
def test_logs_made_from_their_description(name, tmp_path, capsys):
    make, definition = MADE[name]
    log = pl.DataFrame(list(make()), schema=["user_id", "event", "at"], orient="row").sort("at")
    text = log.with_columns(pl.col("at").dt.to_string("%Y-%m-%d %H:%M:%S"))
    text.write_csv(tmp_path / "log.csv")
    found = definition or ek.draft(log).definition  # fmt: skip
    ends_well(capsys, tmp_path, tmp_path / "log.csv", found)


def test_the_kinds_that_broke_it_are_in_these_logs(tmp_path, capsys):
    """An action without which nobody stays, and one after which nobody does: both stand on the screen, in words."""
    said = {}
    for name in ("boards", "studies, homepage", "approvals"):
        make, definition = MADE[name]
        log = pl.DataFrame(list(make()), schema=["user_id", "event", "at"], orient="row")
        compared = ek.compare_first_weeks(ek.rollup(log, definition))
        said[name] = compared.filter(
            (pl.col("retention_not") == 0) | (pl.col("retention_did") == 0)
        )["action"].to_list()
    assert "Created Board" in said["boards"]
    assert "unregister" in said["studies, homepage"]
    assert any(name.startswith("T04") for name in said["approvals"])


MIXES = [
    "balanced",
    "friction",
    "progress",
    "repeat_value",
    "discovery",
    "re_engagement",
    "healthy",
]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [2, *[pytest.param(s, marks=pytest.mark.slow) for s in (1, 3, 5)]])
@pytest.mark.parametrize("mix", ["friction", *[pytest.param(m, marks=pytest.mark.slow) for m in MIXES if m != "friction"]])  # fmt: skip
def test_simulated_products(mix, seed, tmp_path, capsys):
    made = ek.simulate(users=2000, seed=seed, mix=mix)
    made.events.lazy().collect().write_parquet(tmp_path / "log.parquet")
    ends_well(capsys, tmp_path, tmp_path / "log.parquet", made.definition)


@pytest.mark.thorough
def test_offsets_that_differ_from_row_to_row(tmp_path, capsys):
    """Exports of processes write local times with the offset of the season."""
    rows = ["user_id,event,at"]
    for user, event, at in approvals(300):
        moment = at.replace(tzinfo=UTC)
        hours = 2 if (moment - START.replace(tzinfo=UTC)).days > 60 else 1
        local = moment + timedelta(hours=hours)
        rows.append(f"{user},{re.sub(',', ' ', event)},{local:%Y-%m-%d %H:%M:%S}+0{hours}:00")
    (tmp_path / "log.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    ends_well(capsys, tmp_path, tmp_path / "log.csv", MADE["approvals"][1])
