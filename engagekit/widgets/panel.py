"""A panel: a heading, labeled controls, and beside them a text and a chart that follow every change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from engagekit._base import in_html
from engagekit.errors import EngagekitError
from engagekit.widgets.linked import NEEDS, OPENS, Opener, listened, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engagekit.widgets.behind import Behind
    from engagekit.workshop import Session

WIDE = w.Layout(width="100%", max_width="760px")
LABEL = {"description_width": "240px"}
ACCENT = "4px solid #0072B2"
# JupyterLab takes arrows and letters pressed on a list or a slider for commands to the notebook (D twice deletes the
# cell); while a control has the focus, its keys are its own.
CONTROLS = "engagekit-controls"
OWN_KEYS = (
    "<script>window.engagekitKeys = window.engagekitKeys || (document.addEventListener('focusin', function (event) {"
    f" if (event.target.closest && event.target.closest('.{CONTROLS}'))"
    " { event.target.setAttribute('data-lm-suppress-shortcuts', 'true'); } }), true);</script>"
)
WARNED = "display:block;border:2px solid #D55E00;padding:4px 8px;margin:0 0 6px;font-size:15px"
FRAME = w.Layout(border_left=ACCENT, padding="0 0 2px 12px")


@dataclass(frozen=True)
class Shown:
    """What a panel shows for the present state of its controls: the numbers, a sentence, and a chart or none."""

    value: Any
    text: str
    chart: Any = None
    warning: str = ""  # what to see before the text
    opens: Behind | None = None  # who is behind the marks of the chart


@dataclass(eq=False, repr=False)
class Panel:
    """Controls over one function and one chart; as the last line of a cell it shows itself.

    The sentence and the chart are ordinary outputs of the cell, kept up to date: they stay readable when the
    notebook is closed, exported, or opened where no kernel runs. With a `key`, the session keeps the state of the
    controls; without one, what they set is kept elsewhere. A panel that follows another answers anew with it.
    """

    heading: str
    controls: dict[str, w.Widget]
    answer: Callable[[dict[str, Any]], Shown]
    session: Session
    key: str | None = None
    help: str = ""
    form: w.Widget | None = None
    follows: Panel | None = None
    pictured: bool = True
    opens: bool = False  # whether the marks of its charts do
    box: w.VBox = field(init=False)
    shown: Shown = field(init=False)
    followers: list[Panel] = field(init=False, default_factory=list)
    _text: Any = field(init=False, default=None)
    _chart: Any = field(init=False, default=None)
    opener: Opener | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Fill the controls from the session, answer once and follow changes."""
        stored = self.session.get(self.key, {}) if self.key else {}
        for name, control in self.controls.items():
            if name in stored:
                _restore(control, stored[name])
            control.observe(self._changed, "value")
        heading = f"<h3 style='margin:4px 0'>{in_html(self.heading)}</h3>"
        parts = [w.HTML(heading)] if self.heading else []
        if self.help:
            parts.append(w.HTML(f"<p style='margin:0 0 6px'>{in_html(self.help)}</p>"))
        form = [self.form] if self.form else []
        self.box = w.VBox([*parts, *self.controls.values(), *form], layout=FRAME)
        self.box.add_class(CONTROLS)
        if self.follows is not None:
            self.follows.followers.append(self)
        self.shown = self._answered()

    @property
    def value(self) -> Any:
        """The numbers behind what is shown."""
        return self.shown.value

    @property
    def state(self) -> dict[str, Any]:
        """The present value of every control."""
        return {name: _plain(control.value) for name, control in self.controls.items()}

    @property
    def text(self) -> str:
        """The sentence beside the controls."""
        return self.shown.text

    def _answered(self) -> Shown:
        try:
            return self.answer(self.state)
        except EngagekitError as error:
            return Shown(None, f"This cannot be answered: {error}")

    def _changed(self, _: Mapping[str, Any]) -> None:
        if self.key:
            self.session.set(self.key, self.state)
        self.refresh()

    def take(self, values: Mapping[str, Any]) -> None:
        """Set controls to what the browser shows: its values of ordinary controls wait while a kernel is busy."""
        for name, control in self.controls.items():
            if name in values:
                _restore(control, values[name])

    def tell(self) -> None:
        """Answer again and bring the words up to date; the chart, and the panels that follow, stay as they are."""
        self.shown = self._answered()
        self.say(self.shown.text)

    def refresh(self) -> None:
        """Answer again and bring the text and the chart up to date, and those of the panels that follow."""
        drawn = self.shown.chart
        self.tell()
        if self._chart is not None and self.shown.chart is not drawn:
            self._chart.update(_picture(self.shown.chart))
            self._listen()
        for follower in self.followers:
            follower.refresh()

    def _listen(self) -> None:
        """Let the marks of the chart open that is shown now."""
        if self.opener is not None:
            source = self.shown.opens
            self.opener.lay([source] if source else [], [listened(source)] if source else [])

    def say(self, text: str) -> None:
        """Put other words beside the controls, until the next answer."""
        self.shown = replace(self.shown, text=text)
        if self._text is not None:
            self._text.update(_as_html(text, self.shown.warning))

    def __repr__(self) -> str:
        """Say what it answers, and where the controls work: this is read outside of Jupyter."""
        return f"{self.text} ({NEEDS})"

    def _repr_html_(self) -> str:
        return f"{_as_html(self.shown.text, self.shown.warning).data}<p>{NEEDS}</p>"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        shown = self.box._repr_mimebundle_() or {}  # how widgets hand themselves over
        named = f": {self.heading}" if self.heading else ""
        plain = f"Controls{named} (they work while the notebook runs)"
        show: Callable[..., Any] = display
        show(shown | {"text/plain": plain}, raw=True)
        self._text = show(_as_html(self.shown.text, self.shown.warning), display_id=True)
        if self.pictured:
            self._chart = show(_picture(self.shown.chart), display_id=True)
        if self.opens:
            self.opener = Opener(self.session)
            self._listen()
            show(view_of(self.opener.desk) | {"text/plain": OPENS}, raw=True)


def _picture(chart: Any) -> Any:
    """Give a chart, or for none an empty place that a later one can take."""
    from IPython.display import HTML

    return HTML("") if chart is None else chart  # type: ignore[no-untyped-call]


def _as_html(text: str, warning: str = "") -> Any:
    from IPython.display import HTML

    lines = "<br>".join(in_html(line) for line in text.splitlines())
    if warning:
        warned = "<br>".join(in_html(line) for line in warning.splitlines())
        lines = f'<strong style="{WARNED}">{warned}</strong>{lines}'
    style = f"font-size:17px;line-height:1.5;max-width:760px;margin:0;padding:2px 0 6px 12px;border-left:{ACCENT}"
    said = f'<p class="engagekit-text" aria-live="polite" style="{style}">{lines}</p>'
    return HTML(said + OWN_KEYS)  # type: ignore[no-untyped-call]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _restore(control: Any, value: Any) -> None:
    # A stored choice that no longer exists (another log, another version) leaves the control as it is.
    import traitlets

    try:
        control.value = tuple(value) if isinstance(value, list) else value
    except (traitlets.TraitError, ValueError, TypeError):
        return


def slider(label: str, value: int, low: int, high: int, *, step: int = 1) -> w.IntSlider:
    """Make a labeled slider of whole numbers that answers when it is let go."""
    return w.IntSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=False,
        style=LABEL,
        layout=WIDE,
    )


def choice(label: str, options: Sequence[Any], value: Any) -> w.Dropdown:
    """Make a labeled list of which one is chosen; `options` may be (name, value) pairs."""
    return w.Dropdown(
        options=list(options), value=value, description=label, style=LABEL, layout=WIDE
    )


def text(label: str, value: str = "", *, placeholder: str = "") -> w.Text:
    """Make a labeled line of text."""
    return w.Text(
        value=value,
        description=label,
        placeholder=placeholder,
        continuous_update=False,
        style=LABEL,
        layout=WIDE,
    )


def lines(label: str, value: str = "", *, placeholder: str = "") -> w.Textarea:
    """Make a labeled box of several lines of text."""
    return w.Textarea(
        value=value,
        description=label,
        placeholder=placeholder,
        rows=3,
        continuous_update=False,
        style=LABEL,
        layout=WIDE,
    )
