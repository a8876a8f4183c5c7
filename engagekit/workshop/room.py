"""What a page of the course says that depends on the log: sentences chosen from finished answers, never typed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engagekit._base import LINK_NAMES, count, day, in_markdown, many, percent
from engagekit.definition import LINKS
from engagekit.diagnosis import defined_links
from engagekit.instants import last_day
from engagekit.journeys import basis
from engagekit.playbook import PLAYS, Handout, card, play_named, said, table
from engagekit.priority import NONE_BROKEN, OWN_PAST, plan
from engagekit.workshop.drawn import coming_and_going, steps
from engagekit.workshop.reviews import reviews

if TYPE_CHECKING:
    import polars as pl

    from engagekit.definition import Definition
    from engagekit.journeys import Journeys
    from engagekit.priority import Priority
    from engagekit.review import Tracked
    from engagekit.workshop.session import Session

__all__ = [
    "answer", "broken_if", "change_since", "coming_and_going", "due", "faults", "first_play", "how_to_read", "left_out", "own_log", "plan_first",
    "points", "problem", "reviews", "steps", "tested", "trial_size", "verdict_now", "watched", "worth_testing",
]  # fmt: skip
FEW = 30  # judged users below which a share is read with its line, not by its bar


def answer(session: Session, journeys: Journeys, priority: Priority) -> Handout:
    """Open the first page: the verdict to be read aloud, what to bear in mind, and whose log this is."""
    own = "events" in session.part("about")
    name, counted = in_markdown(journeys.definition.name), in_markdown(basis(journeys))
    whose = (
        f"The log is your own, *{name}*: {counted}"
        if own
        else f"The log is *{name}*, a made-up product in which small teams publish project pages, until you bring your own: {counted}"
    )
    guess = (
        "\n\n**The definition behind these numbers is a guess from the log; nobody has confirmed it yet:** notebook 01."
        if journeys.definition.guessed
        else ""
    )
    return Handout(f"{said(priority.sentence, *priority.warnings)}\n\n{whose}{guess}")


def own_log(session: Session) -> Handout:
    """Say how a log of one's own comes in: where it is not there yet, by which ways; where it is, how newer data come."""
    if "events" in session.part("about"):
        return Handout(
            "This page stands on your own log. Newer data come in with `engagekit refresh FOLDER --events LOG` (in a terminal: menu *File*, "
            "*New*, *Terminal*); what you decided stays."
        )
    return Handout(
        "Drag your event log (csv, parquet, ...; who, what, when) into the list of files on the left and name it below. Or in a terminal "
        "(menu *File*, *New*, *Terminal*): `engagekit draft LOG` says what it finds in it, `engagekit start FOLDER --events LOG` makes your "
        "own copy of these notebooks. Nothing leaves this computer."
    )


def how_to_read(priority: Priority) -> Handout:
    """Say how to read the loop as it came out: its marks, its verdict, and the links without a bar."""
    rows = priority.table.to_dicts()
    parts = [_marks(rows), _verdict(priority), _without_bar(rows, priority.definition)]
    judged = [row for row in rows if row["of"]]
    few = min(judged, key=lambda row: row["of"], default=None)
    if few is not None and few["of"] < FEW:
        parts.append(
            f"Only {many(few['of'], 'user')} can be judged at {LINK_NAMES[few['link']]}: read its line, not its bar."
        )
    return Handout(" ".join(part for part in parts if part))


def _marks(rows: list[dict[str, Any]]) -> str:
    if any(row["target"] is not None and row["target_from"] != OWN_PAST for row in rows):
        return "A tick is the target your team set."
    if any(row["target_from"] == OWN_PAST for row in rows):
        return "No targets are set; the tick is what the product's own earlier quarters reached."
    return "No targets are set, so no bar can be called too short."


def _verdict(priority: Priority) -> str:
    own = priority.link and any(
        r["link"] == priority.link and r["target_from"] == OWN_PAST
        for r in priority.table.to_dicts()
    )
    if priority.link and own:
        return f"{LINK_NAMES[priority.link]} is named because it fell, not because it is low."
    if priority.link:
        return (
            "The verdict is neither the lowest bar nor the largest loss: those point at the same links whatever is broken. It is the "
            f"earliest link that is very probably more than {points(priority.definition)} below its target."
        )
    if priority.verdict == NONE_BROKEN:
        return "Every link that has a target and can be judged holds: there is nothing to mend now."
    if priority.verdict == "no targets":
        return "It is said where half of the sign-ups are gone; which rate is good enough, you decide: notebook 01."
    return "Undecided is a result: more than one answer fits these numbers, and nothing here picks one."


def points(definition: Definition) -> str:
    """Write the margin of a definition in points."""
    margin = f"{100 * definition.margin:.1f}".rstrip("0").rstrip(".")
    return f"{margin} point" if margin == "1" else f"{margin} points"


def _without_bar(rows: list[dict[str, Any]], definition: Definition) -> str:
    known = defined_links(definition)
    lacking = [LINK_NAMES[link] for link in LINKS if link not in known]
    early = [LINK_NAMES[r["link"]] for r in rows if r["link"] in known and not r["of"]]
    parts = []
    if lacking:
        parts.append(
            f"{_all(lacking)} cannot be judged: the definition names no events for {_it(lacking)}."
        )
    if early:
        parts.append(f"At {_all(early)} nobody can be judged yet.")
    return " ".join(parts)


def _all(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def broken_if(definition: Definition) -> Handout:
    """Say under which rule a link is called broken, with the definition's own margin and days."""
    span = (
        f"sign-ups of the last {many(definition.recent_days, 'day')} that can be judged there, or of more days where these are few"
        if definition.recent_days
        else "all sign-ups that can be judged there"
    )
    advocacy = (
        " Advocacy is named only if you set a target for it: it validates, it does not lead."
        if "advocacy" in defined_links(definition)
        else ""
    )
    return Handout(
        f"A link is broken if its rate lies below its target by more than {points(definition)}: set each to the rate at which you would stop "
        f"worrying. It is judged on {span}. A link without a target is shown, and never named.{advocacy}"
    )


def left_out(journeys: Journeys) -> Handout:
    """Show who is not counted, or say that nobody is left out."""
    found = journeys.left_out
    if not found.height:
        return Handout("Nobody is left out: every user of the log is counted.")
    return table(found)


def problem(
    diagnosis: pl.DataFrame,
    priority: Priority | None = None,
    *,
    definition: Definition | None = None,
) -> Handout:
    """Say which problem most judged users have, and how that fits the loop; without `priority` it gives no verdict away."""
    known = definition if priority is None else priority.definition
    rows = [r for r in diagnosis.to_dicts() if r["play"] and r["n"]]
    if rows:
        most = max(rows, key=lambda r: r["n"])
        first = (
            f"Most common today: {most['if_users'].lower()}, {percent(most['share'])} of {many(most['of'], 'judged user')} "
            f"({most['problem']}){_counted(known)}."
        )
        parts = [first, _beside_the_loop(most, priority)]
    else:
        parts = ["No problem can be told yet: nobody can be judged, or nobody has one."]
    if known is not None and not known.steps:
        parts.append(
            "No steps are defined, so hesitating at a step (Friction) cannot be told from stalling (Progress)."
        )
    return Handout(" ".join(parts))


def _counted(definition: Definition | None) -> str:
    """Say which sign-ups a diagnosis counts: fewer than the page says signed up."""
    if definition is None or definition.depth_days is None:
        return ""
    return f", over the latest {definition.depth_days + definition.recent_days} days of sign-ups"


def _beside_the_loop(most: dict[str, Any], priority: Priority | None) -> str:
    if priority is None:
        return "That is no order to mend it first: which link fails earliest is the question of notebook 06."
    if priority.link is None:
        why = "no link is broken" if priority.verdict == NONE_BROKEN else "no link is named"
        return f"That is no order to mend it: by the loop, {why}."
    link = LINK_NAMES[priority.link]
    if priority.problem == most["problem"]:
        return f"The loop points the same way: {link} breaks first, by {priority.problem}."
    named = f", a question of {priority.problem}" if priority.problem else ""
    return f"The loop names {link}{named}: that comes first. This picture says where users stand today, the loop which link fails earliest."


def first_play(priority: Priority) -> Handout:
    """Say what to do first under any verdict: the plan in a sentence, and of a play that is named its trap."""
    planned = str(said(plan(priority).sentence))
    if priority.play is None:
        return Handout(planned)
    play = play_named(priority.play)
    return Handout(
        f"{planned}\n\n*{play.name}*: {play.use_when} The trap: {play.trap} Instead: {play.instead}"
    )


def plan_first(priority: Priority) -> Handout:
    """Say before the card of a plan what stands behind it: the verdict's play, or that choosing is left to the team."""
    if priority.play:
        return card(priority.play)
    why = {
        NONE_BROKEN: "No link is broken, so nothing has to be mended now.",
        "no targets": "No targets are set, so no link is named: set them first, in notebook 01 or 06.",
        "undecided": "It is undecided which link breaks first. A card made now is the team's choice, not the verdict's.",
    }.get(priority.verdict)
    if why is None and priority.problem_candidates:
        why = f"Whether the problem is {_all(list(priority.problem_candidates)).replace(' and ', ' or ')} is open; settle that before choosing a play."
    if why is None and priority.link == "advocacy":
        why = "Advocacy validates what comes before it; no play mends it."
    return Handout(why or "No play mends this: look first at who signs up, and at the tracking.")


def faults(checks: pl.DataFrame) -> Handout:
    """Show the checks that found something, or say that none did."""
    found = checks.filter(checks["count"] > 0).select("check", "count", "advice")
    return table(found) if found.height else said("No check found anything.")


def worth_testing(best: pl.DataFrame) -> Handout:
    """Show what may be said of early actions, or say that nothing stands out."""
    told = (
        best.select(what="sentence", question="question", experiment="experiment")
        .drop_nulls()
        .head(5)
    )
    if told.height:
        return table(told)
    return said(
        "No action stands out clearly: nothing here is worth a test yet. More judged users may change that."
    )


def watched(now: pl.DataFrame, before: pl.DataFrame | None = None) -> Handout:
    """Say how many users are much quieter than their own habit, and how many were a week before."""
    rare = now.filter(now["unusual"] < 0.1).height
    if not now.height:
        text = "Nobody is silent for twice their own usual gap without having drifted."
    else:
        be = "is" if now.height == 1 else "are"
        text = f"{many(now.height, 'user')} {be} silent for at least twice their own usual gap; {_rare(rare)}."
    if before is not None:
        text += f" A week before: {count(before.height)}."
    return said(text)


def _rare(rare: int) -> str:
    return f"for {count(rare) if rare else 'none'} of them this is longer than nine in ten of their pauses"


def tested(journeys: Journeys, link: str | None) -> Any:
    """Draw the test that the definition names, or say that there is none."""
    from engagekit import charts
    from engagekit.review import experiment

    if journeys.definition.experiment is None:
        return said(
            "No test is set up: the definition names none. A play without one is followed, not proven."
        )
    return charts.experiment(experiment(journeys, link=link or "habit"))


def trial_size(session: Session, priority: Priority) -> Handout:
    """Say what a test of the plan would take, where there is a link to test and something left to show."""
    made = session.part("plan")
    link = made.get("link") or priority.link
    if link not in LINKS:
        return said("No link is planned or named, so there is no test to size.")
    row = next(r for r in priority.table.to_dicts() if r["link"] == link)
    aim = made.get("target") if made.get("link") else row["target"]
    aim = aim if isinstance(aim, float) and 0 < aim < 1 else None
    if (
        aim is not None
        and row["rate"] is not None
        and aim - row["rate"] < priority.definition.margin
    ):
        return said(
            f"{LINK_NAMES[link]} stands at {percent(row['rate'])}, the goal is {percent(aim)}: little is left for a test to show."
        )
    play = made.get("play") if made.get("link") in LINKS else None
    chosen = play if play in [each.name for each in PLAYS] else None
    return said(plan(priority, link=link, goal=aim, play=chosen, experiment=True).sentence)


def due(session: Session, journeys: Journeys) -> Handout:
    """Say whether the plan is a draft, and whether its day to look again has come."""
    made = session.part("plan")
    if not made:
        return said("Nothing is planned, so nothing is judged below. Notebook 07 makes the plan.")
    lines = []
    if made.get("draft"):
        lines.append("The plan is a draft: nobody has decided it yet (notebook 07).")
    again, until = (
        str(made.get("look_again") or ""),
        day(last_day(journeys.as_of, journeys.timezone)),
    )
    if again:
        lines.append(
            f"The data reach to {until}: the day to look again, {again}, has come."
            if again <= until
            else f"The data reach to {until}; the day to look again is {again}, so what stands below is a first look."
        )
    return said(*lines) if lines else said(f"The data reach to {until}.")


def verdict_now(session: Session, priority: Priority) -> Handout:
    """Say whether the verdict is still the one the play was chosen for."""
    link = session.part("plan").get("link")
    told = [priority.sentence, *priority.warnings]
    if link in LINKS and priority.link:
        same = link == priority.link
        told.append(
            f"That is the link of the plan, {LINK_NAMES[link]}."
            if same
            else f"The plan mends {LINK_NAMES[link]}; the verdict now names {LINK_NAMES[priority.link]}."
        )
    elif link in LINKS:
        told.append(f"The plan mends {LINK_NAMES[link]}; the verdict now names no link.")
    return said(*told)


def change_since(journeys: Journeys, tracked: Tracked | None) -> Any:
    """Draw at which link the share that passes the whole loop changed since the play began; without a play say so."""
    from engagekit import charts
    from engagekit.priority import explain_change

    if tracked is None:
        return said("No play is followed, so no change is split.")
    return charts.change(explain_change(journeys, since=tracked.table["since"][1]))
