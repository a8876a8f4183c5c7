"""A chart of which every mark opens, by mouse and by keyboard.

The chart itself is an output as any of ours, so it stays when the notebook is closed or exported. Beside it stands a
small widget that listens to its marks. Who is behind a mark is asked for when it is opened, and comes in a message:
it is never part of a widget's state, and so of nothing that is saved.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from engagekit.errors import EngagekitError
from engagekit.views import chart_html, chart_identity, drawing_script
from engagekit.widgets.behind import Behind, behind
from engagekit.widgets.drawer import answered, counts, narrowed, spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engagekit.journeys import Journeys
    from engagekit.log import Frame
    from engagekit.workshop import Session


NEEDS = "Controls work in Jupyter only; engagekit lab opens it."
OPENS = "A mark of the chart opens with a click, or with Tab, arrows and Enter, while the notebook runs."


class Desk(anywidget.AnyWidget):
    """What listens to the marks of charts, and shows the drawer of one.

    Each of `charts` has an `id`, a `name` and its `marks` (number -> what it is, with its count). Those with a `spec`
    are drawn by this widget, beside each other where there is room; the others are outputs of the notebook.
    """

    _esm = Path(__file__).parent / "linked.js"
    _css = Path(__file__).parent / "linked.css"

    charts: Any = traitlets.List().tag(sync=True)


class Opener:
    """Opens the marks of some charts: counts at once, then who; a group, if asked for, stays in memory."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sources: list[Behind | None] = []
        self.group: Journeys | None = None
        self.named = ""
        self.desk = Desk()
        self.desk.on_msg(self._heard)
        self.also: dict[
            str, Callable[[dict[str, Any]], None]
        ] = {}  # kind of message -> who takes it
        self._told: list[Callable[[], None]] = []

    def on_group(self, act: Callable[[], None]) -> None:
        """Have something done whenever a group is made here."""
        self._told.append(act)

    def lay(self, sources: Sequence[Behind | None], charts: Sequence[dict[str, Any]]) -> None:
        """Take other charts in the place of those that are there."""
        self.sources = list(sources)
        self.desk.charts = list(charts)

    def _heard(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Say at once how many, which is known; then who, which takes a look."""
        place = content.get("chart", 0)
        if content.get("kind") == "scripts":
            self.desk.send({"kind": "scripts", "text": drawing_script()})
            return
        if content.get("kind") in self.also:
            self.also[content["kind"]](content)
            return
        source = self._source(content)
        if content.get("kind") == "open" and source is not None:
            with suppress(EngagekitError):  # said in the answer below
                known = counts(source, content.get("mark", -1), rest=content.get("rest") is True)
                self.desk.send({"kind": "counts", "chart": place} | known)
        self.desk.send({"chart": place} | self.receive(content))

    def _source(self, content: dict[str, Any]) -> Behind | None:
        place = content.get("chart", 0)
        known = isinstance(place, int) and 0 <= place < len(self.sources)
        return self.sources[place] if known else None

    def receive(self, content: dict[str, Any]) -> dict[str, Any]:
        """Answer a message of the browser."""
        source = self._source(content)
        if source is None:
            return {"kind": "refused", "text": "There is no such chart."}
        if content.get("kind") != "group":
            return answered(source, content, show_ids=self.session.show_ids)
        number, rest = content.get("mark", -1), content.get("rest") is True
        try:
            self.group = narrowed(source, number, rest=rest)
        except EngagekitError as error:
            return {"kind": "refused", "text": str(error)}
        self.named = ("Not: " if rest else "") + source.said(source.mark(number))
        for act in self._told:
            act()
        users = self.group.users.lazy().select("user_id").collect().height
        where = "Choose it above as the group." if self._told else "It is `.group` of this chart."
        return {"kind": "grouped", "text": f"A group of {users:,} users. {where}"}


def marks_of(source: Behind) -> dict[str, str]:
    """Write each mark of a chart for who cannot see it."""
    spec = source.chart.to_dict()
    rows = [row for rows in spec.get("datasets", {}).values() for row in rows]
    return spoken(source, sorted({row["mark"] for row in rows if "mark" in row}))


def listened(source: Behind) -> dict[str, Any]:
    """Tell a desk of a chart that is an output of the notebook."""
    return {
        "id": chart_identity(source.chart),
        "name": source.name,
        "marks": marks_of(source),
    }


class LinkedChart:
    """A chart whose marks open; as the last line of a cell it shows itself.

    `source` is the chart with who is behind its marks, `group` the journeys of the users last made a group, or None.
    """

    def __init__(self, session: Session, source: Behind) -> None:
        self.opener = Opener(session)
        self._shown: Any = None
        self.show(source)

    @property
    def group(self) -> Journeys | None:
        """The journeys of the users last made a group here."""
        return self.opener.group

    @property
    def chart(self) -> Any:
        """The chart itself, as `engagekit.charts` draws it."""
        return self.source.chart

    @property
    def value(self) -> list[dict[str, Any]]:
        """The numbers behind the chart, row by row."""
        return self.source.rows

    def show(self, source: Behind) -> None:
        """Take another chart in this one's place."""
        self.source = source
        if self._shown is not None:
            self._shown.update(source.chart)
        self.opener.lay([source], [listened(source)])

    def __repr__(self) -> str:
        """Say which chart it is, and where its marks open: this is read outside of Jupyter."""
        return f"{self.source.name} ({NEEDS})"

    def _repr_html_(self) -> str:
        return f"{chart_html(self.source.chart.to_dict())}<p>{NEEDS}</p>"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        show: Callable[..., Any] = display
        self._shown = show(self.source.chart, display_id=True)
        show(view_of(self.opener.desk) | {"text/plain": OPENS}, raw=True)


def view_of(widget: Any) -> dict[str, Any]:
    """Return how a widget hands itself over to a notebook."""
    view = widget._repr_mimebundle_() or {}
    return dict(view[0] if isinstance(view, tuple) else view)


def linked_chart(
    session: Session, journeys: Journeys, name: str, *, events: Frame | None = None, **options: Any
) -> LinkedChart:
    """Show a chart of which every mark opens: how many, how they differ, three timelines, a group for the next question.

    Parameters
    ----------
    session
        The team's; ids and CSV only with ``Session(folder, show_ids=True)``.
    journeys
        From `rollup`.
    name
        The chart's name: loop, loop_by_quarter, diagnosis, heatmap, curve, step_drop_off, engagement_matrix,
        usage_interval or dumbbell, and with `events` lifecycle, stickiness or funnel.
    events
        The log, for charts of raw events.
    options
        What the answer takes, such as ``period="month"``; or ``answer=``, the answer to just that, where it is known.

    Raises
    ------
    ParameterError
        Marks of that chart stand for no users, or `events` is missing.
    """
    return LinkedChart(session, behind(name, journeys, events=events, **options))
