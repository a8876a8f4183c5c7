"""The cockpit: one page for questions that cross the notebooks, on the same session and with the same charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w
import polars as pl

from engagekit._base import LINK_NAMES, in_html, many
from engagekit.definition import LINKS
from engagekit.errors import EngagekitError, ParameterError
from engagekit.journeys import MIN_GROUP, usual_period, windows_of
from engagekit.priority import loop_facts, priority_of, what_if
from engagekit.views import chart_html, chart_identity, cockpit_charts
from engagekit.widgets.behind import Behind, behind
from engagekit.widgets.linked import Opener, marks_of, view_of
from engagekit.widgets.panel import CONTROLS, LABEL, choice, slider

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from engagekit.journeys import Journeys
    from engagekit.priority import LoopFacts, Priority
    from engagekit.workshop import Session

EVERYBODY, OPENED, NOBODY = "everybody", "the group made below", "nobody"
KEY, TARGETS = "cockpit", "targets"
MOST_COHORTS = 14  # as many as leave the page one that can be looked at
MOST_VALUES = 12  # of a property that groups are made of
CONTROL, LABELLED = (
    "390px",
    "190px",
)  # two beside each other on a page of 1280 pixels, more where there is room
SAID = "font-size:17px;line-height:1.5;margin:0"


def narrowings(journeys: Journeys, least: int = MIN_GROUP) -> dict[str, pl.Expr]:
    """List the groups that users can be narrowed to: the values of properties that enough users have."""
    found: dict[str, pl.Expr] = {}
    for name in journeys.properties:
        counts = journeys.users.lazy().group_by(name).len().sort("len", name, descending=[True, False])  # fmt: skip
        rows = counts.head(MOST_VALUES + 1).collect().rows()
        for value, users in rows if 2 <= len(rows) <= MOST_VALUES else []:
            if users >= least:
                said = "(none)" if value is None else value
                found[f"{name}: {said}"] = pl.col(name).eq_missing(pl.lit(value))
    return found


class Cockpit:
    """Controls on top, and under them the loop, what if, the diagnosis, curves, cohorts and first weeks, each mark open.

    `journeys` are those of the present choice, `priority` their verdict. As the last line of a cell it shows itself.
    """

    def __init__(self, session: Session, journeys: Journeys) -> None:
        self.session, self.whole = session, journeys
        self.opener = Opener(session)
        self.opener.on_group(self._grouped)
        self.opener.also["what if"] = self.receive
        self._groups = narrowings(journeys)
        self.journeys = self._within = journeys
        self._parts: dict[str, Behind] = {}
        self._pictured: dict[str, dict[str, Any]] = {}
        self._counted: dict[str, LoopFacts] = {}
        self.controls = _controls(self._groups)
        self.targets = _targets(session, journeys)
        link, rate = _first_guess(self._facts(EVERYBODY), self.targets)
        self.what_if = {
            "link": choice("What if", [(LINK_NAMES[each], each) for each in LINKS], link),
            "rate": slider("rose to, % (0: not asked)", rate, 0, 100),
        }
        self._fill(session.get(KEY, {}))
        self._held = False
        self.said = w.HTML()
        self.priority: Priority | None = None
        self._listen()
        self._narrow()

    # What follows a control -----------------------------------------------------------------------

    def _fill(self, stored: dict[str, Any]) -> None:
        import traitlets

        for name, control in (self.controls | self.what_if).items():
            if name in stored:
                try:
                    control.value = _taken(control, stored[name])
                except (traitlets.TraitError, ValueError, TypeError):
                    continue  # of another log: the control stays as it is

    def _listen(self) -> None:
        for controls, act in (
            (self.controls, self._narrow),
            (self.targets, self._judge),
            (self.what_if, self._judge),
        ):
            for name, control in controls.items():
                does = self._judge if name == "beside" else act
                control.observe(lambda _, does=does: self._changed(does), "value")

    def _changed(self, act: Callable[[], None]) -> None:
        if self._held:
            return
        every = self.controls | self.what_if
        # A group made of an opened mark is gone with the kernel.
        kept = {n: _kept(c.value) for n, c in every.items() if c.value != OPENED}
        self.session.set(KEY, kept)
        targets = {link: control.value for link, control in self.targets.items()}
        if targets != _percents(self.session, self.whole):
            self.session.set(TARGETS, targets)
        act()

    def _grouped(self) -> None:
        control = self.controls["group"]
        if OPENED not in control.options:
            control.options = [*control.options, OPENED]
        if control.value == OPENED:
            self._narrow()

    def _among(self, journeys: Journeys, named: str) -> Journeys:
        """Narrow to a group; a group of a few stays closed."""
        if named == OPENED and self.opener.group is not None:
            own = self.opener.group.users.lazy().select("user_id").collect()["user_id"]
            return journeys.where(users=pl.col("user_id").is_in(own.implode()))
        return journeys if named not in self._groups else journeys.where(users=self._groups[named])

    def _facts(self, named: str) -> LoopFacts:
        """Count a group's loop once: another target is arithmetic on these counts."""
        if named not in self._counted:
            own = named == self.controls["group"].value
            self._counted[named] = loop_facts(
                self.journeys if own else self._among(self._within, named)
            )
        return self._counted[named]

    def _users(self, journeys: Journeys) -> int:
        return int(journeys.users.lazy().select(pl.len()).collect().item())

    def _narrow(self) -> None:
        """Take the sign-ups, group and filter of the controls, and ask everything anew."""
        state = {name: control.value for name, control in self.controls.items()}
        try:
            some = self.whole.where(signed_up=_span(state["since"], state["until"]))
            self._within = self._among(some, state["filter"])
            self.journeys = self._among(self._within, state["group"])
            if self._users(self.journeys) < MIN_GROUP:
                raise ParameterError(
                    f"Fewer than {MIN_GROUP} users are left: choose more days, or another group."
                )
        except EngagekitError as error:
            self.opener.lay([], [])
            self._say([str(error)])
            return
        self._counted = {}
        first = self._first()  # the words come before the charts that take longer
        self._parts, self._pictured = {}, {}
        for name, options in _asked(self.journeys).items():
            try:
                self._parts[name] = behind(name, self.journeys, **options)
            except EngagekitError:
                continue  # nobody to compare, or nothing over yet: the others stand
            self._pictured[name] = _drawn(self._parts[name])
        self._lay(first)

    def _judge(self) -> None:
        """Hold the loop against the targets; what they do not touch stays as it is."""
        self._lay(self._first())

    def _first(self) -> list[tuple[Behind | None, dict[str, Any]]]:
        """Answer in words, and draw the loop and what is beside it."""
        targets = {link: control.value / 100 for link, control in self.targets.items() if control.value}  # fmt: skip
        found = self.priority = priority_of(
            self._facts(self.controls["group"].value), targets=targets
        )
        loop, lines = behind("loop", self.journeys, answer=found), [found.sentence]
        more = [told for told in (self._supposed(lines), self._beside(targets, lines)) if told]
        self._say([*lines, self._about()])
        return [(loop, _drawn(loop) | {"drags": True}), *[(None, told) for told in more]]

    def _about(self) -> str:
        """Say whom the page is about."""
        only, named = (self.controls[name].value for name in ("filter", "group"))
        held = [f"{LINK_NAMES[link]} {c.value}%" for link, c in self.targets.items() if c.value]
        aims = f"Targets: {', '.join(held)}." if held else "No targets are set."
        users = many(self._users(self.journeys), "user")
        whom = named if only == EVERYBODY else f"{named}, among {only}"
        windows = windows_of(self.journeys.definition)
        recent = f"Problems are counted over the latest {windows['depth'] + self.journeys.definition.recent_days} days of sign-ups."
        return f"The page is about {users}: {whom}. {recent} {aims}"

    def _lay(self, first: list[tuple[Behind | None, dict[str, Any]]]) -> None:
        parts = [(part, self._pictured[name]) for name, part in self._parts.items()]
        shown = [*first, *parts]
        self.opener.lay([source for source, _ in shown], [told for _, told in shown])

    def _supposed(self, lines: list[str]) -> dict[str, Any] | None:
        link, rate = self.what_if["link"].value, self.what_if["rate"].value / 100
        if not rate or self.priority is None:
            return None
        try:
            table = what_if(self.priority, link, rate)
        except EngagekitError as error:
            lines.append(str(error))
            return None
        lines.append(f"{cockpit_charts.reach_said(table, link, rate)}.")
        return _chart("what if", cockpit_charts.reaching(table, link, rate))

    def _beside(self, targets: dict[str, float], lines: list[str]) -> dict[str, Any] | None:
        other = self.controls["beside"].value
        if other == NOBODY or self.priority is None:
            return None
        if self._users(self._among(self._within, other)) < MIN_GROUP:
            lines.append(f"Fewer than {MIN_GROUP} users are {other}: they stay closed.")
            return None
        found = {self.controls["group"].value: self.priority}
        found |= {other if other not in found else f"{other} (again)": priority_of(self._facts(other), targets=targets)}  # fmt: skip
        lines.append(f"{cockpit_charts.loops_title(found)}.")
        return _chart("loops", cockpit_charts.loops(found))

    def receive(self, content: dict[str, Any]) -> None:
        """Take a bar that was dragged: what if its link had that share."""
        place = content.get("mark", -1)
        rate = content.get("rate")
        if isinstance(place, int) and 0 <= place < len(LINKS) and isinstance(rate, int | float):
            self._held = True  # two controls, one answer
            self.what_if["link"].value = LINKS[place]
            self.what_if["rate"].value = min(100, max(0, round(100 * rate)))
            self._held = False
            self._changed(self._judge)

    # What is shown --------------------------------------------------------------------------------

    def _say(self, lines: list[str]) -> None:
        self.text = "\n".join(lines)
        told = "<br>".join(in_html(line) for line in lines)
        self.said.value = f'<p class="engagekit-text" aria-live="polite" style="{SAID}">{told}</p>'

    @property
    def box(self) -> w.VBox:
        """The whole page as one widget."""
        rows = [
            list(self.controls.values()),
            list(self.targets.values()),
            list(self.what_if.values()),
        ]
        layout = w.Layout(flex_flow="row wrap", grid_gap="0 24px")
        for control in (c for row in rows for c in row):
            control.layout.width = CONTROL
            control.style.description_width = LABELLED
        made = w.VBox([*[w.HBox(row, layout=layout) for row in rows], self.said, self.opener.desk])
        made.add_class(CONTROLS)
        return made

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, Any]:
        return view_of(self.box) | self._stays()

    def _stays(self) -> dict[str, str]:
        """Write what is to be read where no kernel runs: the words, and the charts as pictures; made once, when shown."""
        pictures = "".join(chart_html(told["spec"]) for told in self.opener.desk.charts)
        lines = "<br>".join(in_html(line) for line in self.text.splitlines())
        page = f'<div class="engagekit-cockpit"><p>{lines}</p>{pictures}</div>'
        return {
            "text/html": page,
            "text/plain": f"The cockpit (it works while the notebook runs).\n{self.text}",
        }


def _first_guess(facts: LoopFacts, targets: dict[str, Any]) -> tuple[str, int]:
    """Suppose first that the link to mend, or the first, rises to its target, or by ten points."""
    found = priority_of(facts, targets={link: c.value / 100 for link, c in targets.items() if c.value})  # fmt: skip
    link = found.link or LINKS[0]
    now = found.table.filter(pl.col("link") == link)["rate"][0]
    return link, targets[link].value or min(100, round(100 * (now or 0)) + 10)


def _asked(journeys: Journeys) -> dict[str, dict[str, Any]]:
    period = usual_period(journeys.definition)
    return {
        "diagnosis": {},
        "curve": {"period": period},
        "heatmap": {"period": period, "most": MOST_COHORTS},
        "dumbbell": {},
    }


def _drawn(source: Behind) -> dict[str, Any]:
    return _chart(source.name, source.chart) | {"marks": marks_of(source)}


def _chart(name: str, chart: Any) -> dict[str, Any]:
    spec = chart.to_dict()
    label = " ".join(spec["title"]["text"])
    return {"id": chart_identity(chart), "name": name, "marks": {}, "spec": spec, "label": label}


def _controls(groups: dict[str, pl.Expr]) -> dict[str, Any]:

    known = [EVERYBODY, *groups]
    return {
        "since": w.DatePicker(description="Signed up since", style=LABEL),
        "until": w.DatePicker(description="and before", style=LABEL),
        "filter": choice("Only", known, EVERYBODY),
        "group": choice("Group", known, EVERYBODY),
        "beside": choice("Its loop beside that of", [NOBODY, *known], NOBODY),
    }


def _percents(session: Session, journeys: Journeys) -> dict[str, int]:
    stored = session.get(TARGETS)
    given = {link: round(100 * rate) for link, rate in journeys.definition.targets.items()}
    held = stored if isinstance(stored, dict) else given
    return {link: int(held.get(link, 0)) for link in LINKS}


def _targets(session: Session, journeys: Journeys) -> dict[str, Any]:
    held = _percents(session, journeys)
    return {
        link: slider(f"Target of {LINK_NAMES[link]}, % (0: none)", held[link], 0, 95)
        for link in LINKS
    }


def _span(since: date | None, until: date | None) -> tuple[Any, Any] | None:
    if since is not None and until is not None and since >= until:
        raise ParameterError(
            f"Nobody signed up from {since} on and before {until}: the second day must lie later."
        )
    return None if since is None and until is None else (since, until)


def _kept(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _taken(control: Any, value: Any) -> Any:
    from datetime import date

    picks = isinstance(control, w.DatePicker) and isinstance(value, str)
    return date.fromisoformat(value) if picks else value


def cockpit(session: Session, journeys: Journeys) -> Cockpit:
    """Show loop, what if, diagnosis, curves, cohorts and first weeks of any group and days of sign-up on one page.

    Parameters
    ----------
    session
        The team's: it keeps what is chosen, and shares the targets with the notebooks of the course.
    journeys
        From `rollup`.
    """
    return Cockpit(session, journeys)
