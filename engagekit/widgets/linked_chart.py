"""A chart of which every mark opens, by mouse and by keyboard.

The chart itself is an output as any of ours, so it stays when the notebook is closed or exported. Beside it stands a
small widget that listens to its marks. Who is behind a mark is asked for when it is opened, and comes in a message:
it is never part of a widget's state, and so of nothing that is saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from engagekit.errors import EngagekitError
from engagekit.views import chart_identity
from engagekit.widgets.behind import Behind, behind
from engagekit.widgets.drawer import answered, counts, narrowed, spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    from engagekit.journeys import Journeys
    from engagekit.log import Frame
    from engagekit.workshop import Session


class Opener(anywidget.AnyWidget):
    """What listens to the marks of the chart of an id, and shows the drawer of one."""

    _esm = Path(__file__).parent / "linked_chart.js"
    _css = Path(__file__).parent / "linked_chart.css"

    chart = traitlets.Unicode().tag(sync=True)  # the id of the chart it belongs to
    marks = traitlets.Dict().tag(sync=True)  # number of a mark -> what it is, with its count


class LinkedChart:
    """A chart whose marks open; as the last line of a cell it shows itself.

    `source` is the chart with who is behind its marks, `group` the journeys of the users last made a group, or None.
    """

    def __init__(self, session: Session, source: Behind) -> None:
        self.session = session
        self.group: Journeys | None = None
        self.named = ""
        self._told: list[Callable[[LinkedChart], None]] = []
        self._shown: Any = None
        self.opener = Opener()
        self.opener.on_msg(self._heard)
        self.show(source)

    @property
    def value(self) -> list[dict[str, Any]]:
        """The numbers behind the chart, row by row."""
        return self.source.rows

    def show(self, source: Behind) -> None:
        """Take another chart in this one's place."""
        self.source = source
        spec = source.chart.to_dict()
        rows = [row for rows in spec.get("datasets", {}).values() for row in rows]
        numbers = sorted({row["mark"] for row in rows if "mark" in row})
        if self._shown is not None:
            self._shown.update(source.chart)
        self.opener.marks = spoken(source, numbers)
        self.opener.chart = chart_identity(source.chart)

    def on_group(self, act: Callable[[LinkedChart], None]) -> None:
        """Have something done whenever a group is made here."""
        self._told.append(act)

    def _heard(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Say at once how many, which is known; then who, which takes a look."""
        if content.get("kind") == "open":
            try:
                known = counts(
                    self.source, content.get("mark", -1), rest=content.get("rest") is True
                )
                self.opener.send({"kind": "counts"} | known)
            except EngagekitError:
                pass  # said in the answer below
        self.opener.send(self.receive(content))

    def receive(self, content: dict[str, Any]) -> dict[str, Any]:
        """Answer a message of the browser."""
        if content.get("kind") != "group":
            return answered(self.source, content, show_ids=self.session.show_ids)
        number, rest = content.get("mark", -1), content.get("rest") is True
        try:
            self.group = narrowed(self.source, number, rest=rest)
        except EngagekitError as error:
            return {"kind": "refused", "text": str(error)}
        self.named = ("Not: " if rest else "") + self.source.said(self.source.mark(number))
        for act in self._told:
            act(self)
        users = self.group.users.lazy().select("user_id").collect().height
        where = (
            "Questions below are about it now." if self._told else "It is `.group` of this chart."
        )
        return {"kind": "grouped", "text": f"A group of {users:,} users. {where}"}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        show: Callable[..., Any] = display
        self._shown = show(self.source.chart, display_id=True)
        view: Any = self.opener._repr_mimebundle_() or {}
        bundle = view[0] if isinstance(view, tuple) else view
        plain = "A mark of the chart opens with a click, or with Tab, arrows and Enter, while the notebook runs."
        show(bundle | {"text/plain": plain}, raw=True)


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
        What the answer takes, such as ``period="month"``.

    Raises
    ------
    ParameterError
        Marks of that chart stand for no users, or `events` is missing.
    """
    return LinkedChart(session, behind(name, journeys, events=events, **options))
