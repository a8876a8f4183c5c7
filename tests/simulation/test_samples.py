"""The bundled data: there, as described, made again from their seed, and with the answer that was planted."""

from __future__ import annotations

import importlib.util
import re
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

import engagekit as ek
from engagekit.diagnosis.links import link_flags
from engagekit.errors import ParameterError, StoredFileError
from engagekit.simulation import samples
from engagekit.simulation.samples import load_sample, sample_folder, sample_path

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("make_sample", DATA / "make_sample.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.sample()


@pytest.fixture(scope="module")
def journeys():
    sample = load_sample()
    return ek.rollup(sample.events, sample.definition, users=sample.users, as_of=sample.as_of)


def test_the_shipped_tables_are_what_the_seed_makes(made):
    sample = load_sample()
    assert sample.events.collect().equals(made.events)
    assert sample.users.equals(made.users)
    assert sample.definition == made.definition
    assert sample.as_of == made.as_of.isoformat()


def test_the_planted_break_is_the_one_the_readme_names(made):
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert re.search(r"earliest broken link is \*\*(\w+)\*\*", readme)[1] == made.planted_link
    assert "Seed 20250701" in readme


@pytest.fixture(scope="module")
def found(journeys):
    return ek.prioritize(journeys, by="channel")


def test_only_habit_lies_below_its_target_now(found):
    rows = {row["link"]: row for row in found.table.to_dicts()}
    assert [k for k, r in rows.items() if r["target"] and r["high"] < r["target"]] == ["habit"]
    assert [k for k, r in rows.items() if r["target"] and r["low"] > r["target"]] == [
        "activation",
        "depth",
    ]
    assert (found.verdict, found.link) == ("named", "habit")


def test_the_readmes_figures_are_the_samples(found):
    readme = (DATA / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    rates = found.table["rate"].to_list()[:3]
    said = re.search(r"Activation holds with (\d+) %.*depth with (\d+) %", readme)
    habit = re.search(r"(\d+) % of the recent ones", readme)
    assert [round(100 * r) for r in rates] == [int(said[1]), int(habit[1]), int(said[2])]


def test_ads_break_at_activation(found):
    ads = found.segments.filter(channel="ads").row(0, named=True)
    assert (ads["link"], ads["elsewhere"]) == ("activation", True)
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert round(100 * ads["activation_rate"]) == int(
        re.search(r"\((\d+) % for the channel", readme)[1]
    )


def test_activation_was_broken_until_it_was_mended(journeys, found):
    firsts = found.by_quarter.unique("quarter", keep="first", maintain_order=True)
    assert firsts["named"].to_list() == ["activation", None, "habit", "habit", "habit"]
    assert firsts["changed"].to_list() == [False, False, True, False, False]
    change = ek.explain_change(journeys, since="2025-03-03").sort("p_largest").row(-1, named=True)
    assert (change["link"], change["low"] > 0) == ("activation", True)


def test_the_play_and_the_experiment_show(journeys, made):
    play = ek.explain_change(journeys, since="2025-09-15").filter(link="habit").row(0, named=True)
    assert play["low"] > 0
    events = load_sample().events.collect()
    told = events.filter(event="exposed")
    assert set(told["variant"].unique()) == {"control", "checklist"}
    assert (
        events.filter(pl.col("event") != "exposed")["variant"].null_count()
        == events.height - told.height
    )
    users = journeys.users.join(told.select("user_id", "variant").unique("user_id"), on="user_id")
    in_time = (pl.col("activated_at") - pl.col("signed_up_at") < pl.duration(days=14)).fill_null(
        value=False
    )
    rates = dict(users.group_by("variant").agg(in_time.mean()).iter_rows())
    assert rates["checklist"] - rates["control"] > 0.04


def test_it_is_soiled_as_described():
    events = load_sample().events.collect()
    assert events["user_id"].null_count() > 0
    assert events.is_duplicated().sum() > 0
    assert events.filter(pl.col("user_id") == "staff-01").height > 100
    assert events["at"].is_sorted()


def test_it_is_small():
    assert sum(p.stat().st_size for p in DATA.iterdir()) < 2_500_000


def test_gcc_is_the_real_log_with_its_notice(shared):
    ours = load_sample("gcc").events.collect()
    theirs = pl.read_parquet(shared / "data" / "gcc_contributor_events.parquet")
    assert ours.rename({"at": "timestamp"}).equals(theirs)
    notice = " ".join((DATA / "GCC-NOTICE.txt").read_text(encoding="utf-8").split())
    facts = (shared / "data" / "README.md").read_text(encoding="utf-8")
    terms = re.search(r'"(Copying and distribution.*?preserved\.)"', facts)[1]
    assert terms in notice
    assert "gcc-12-source 12.2.0-14+deb12u1" in notice


def test_gcc_rolls_up_by_its_definition():
    sample = load_sample("gcc")
    journeys = ek.rollup(sample.events, sample.definition, as_of=sample.as_of)
    assert journeys.dates_only
    assert journeys.users["signed_up_at"].min().date() >= date(1998, 12, 31)  # 730 days of burn-in
    flags = link_flags(journeys).collect()
    assert flags["activation_of"].sum() > 1600
    assert 0 < flags["habit_n"].sum() < flags["habit_of"].sum()


def test_readme_names_every_file_and_column():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    files = {p.name for p in DATA.iterdir() if p.is_file()} - {"README.md"}
    assert [f for f in files if f"`{f}`" not in readme] == []
    for name in ("trailhead_events", "trailhead_users", "gcc_events"):
        columns = pl.read_parquet_schema(DATA / f"{name}.parquet")
        assert [c for c in columns if f"`{c}`" not in readme] == []


def test_an_installed_package_carries_its_own_copy(tmp_path, monkeypatch):
    package = tmp_path / "engagekit"
    shutil.copytree(DATA, package / "_data")
    monkeypatch.setattr(samples, "PACKAGE", package)
    assert sample_folder() == package / "_data"
    assert load_sample().users.height == 10_000


def test_without_data_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "PACKAGE", tmp_path / "engagekit")
    with pytest.raises(StoredFileError, match="install engagekit again"):
        load_sample()


def test_a_misspelt_sample_gets_the_nearest_name():
    with pytest.raises(ParameterError, match="trailhead"):
        sample_path("trailhed")
