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


def test_only_habit_lies_below_its_target(journeys):
    flags = link_flags(journeys).collect()
    below = [
        link
        for link, target in journeys.definition.targets.items()
        if ek.intervals.wilson(flags[f"{link}_n"].sum(), flags[f"{link}_of"].sum())[1] < target
    ]
    above = [
        link
        for link, target in journeys.definition.targets.items()
        if ek.intervals.wilson(flags[f"{link}_n"].sum(), flags[f"{link}_of"].sum())[0] > target
    ]
    assert below == ["habit"]
    assert above == ["activation", "depth"]


def test_the_readmes_figures_are_the_samples(journeys):
    readme = (DATA / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    flags = link_flags(journeys).collect()
    rates = [
        flags[f"{k}_n"].sum() / flags[f"{k}_of"].sum() for k in ("activation", "habit", "depth")
    ]
    said = re.search(r"Activation holds with (\d+) %.*depth with (\d+) %", readme)
    habit = re.search(r"(\d+) % of those judged", readme)
    assert [round(100 * r) for r in rates] == [int(said[1]), int(habit[1]), int(said[2])]


def test_ads_break_at_activation(journeys):
    flags = link_flags(journeys, keep=["channel"]).filter(pl.col("channel") == "ads").collect()
    high = ek.intervals.wilson(flags["activation_n"].sum(), flags["activation_of"].sum())[1]
    assert high < journeys.definition.targets["activation"]


def test_it_is_soiled_as_described():
    events = load_sample().events.collect()
    assert events["user_id"].null_count() > 0
    assert events.is_duplicated().sum() > 0
    assert events.filter(pl.col("user_id") == "staff-01").height > 100
    assert events["at"].is_sorted()


def test_it_is_small():
    assert sum(p.stat().st_size for p in DATA.iterdir()) < 6_000_000


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
