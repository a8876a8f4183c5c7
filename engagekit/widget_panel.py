"""A panel: a heading, labelled controls, and beside them a text and a chart that follow every change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from engagekit.errors import EngagekitError
from engagekit.wording import in_html

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engagekit.session import Session

WIDE = w.Layout(width="100%", max_width="760px")
LABEL = {"description_width": "220px"}


@dataclass(frozen=True)
class Shown:
    """What a panel shows for the present state of its controls: the numbers, a sentence, and a chart or none."""

    value: Any
    text: str
    chart: Any = None


@dataclass(eq=False)
class Panel:
    """Controls over one function and one chart; as the last line of a cell it shows itself.

    The sentence and the chart are ordinary outputs of the cell, kept up to date: they stay readable when the
    notebook is closed, exported, or opened where no kernel runs.
    """

    heading: str
    controls: dict[str, w.Widget]
    answer: Callable[[dict[str, Any]], Shown]
    session: Session
    key: str
    help: str = ""
    extra: Sequence[w.Widget] = ()
    shown: Shown = field(init=False)
    box: w.VBox = field(init=False)
    _text: Any = field(init=False, default=None)
    _chart: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Fill the controls from the session, answer once and follow changes."""
        stored = self.session.get(self.key, {})
        for name, control in self.controls.items():
            if name in stored:
                _restore(control, stored[name])
            control.observe(self._changed, "value")
        parts = [w.HTML(f"<h3 style='margin:4px 0'>{in_html(self.heading)}</h3>")]
        if self.help:
            parts.append(w.HTML(f"<p style='margin:0 0 6px'>{in_html(self.help)}</p>"))
        self.box = w.VBox(
            [*parts, *self.controls.values(), *self.extra], layout=w.Layout(margin="0 0 8px")
        )
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
        self.session.set(self.key, self.state)
        self.refresh()

    def refresh(self) -> None:
        """Answer again and bring the text and the chart up to date."""
        self.shown = self._answered()
        if self._text is not None:
            self._text.update(_as_html(self.shown.text))
        if self._chart is not None and self.shown.chart is not None:
            self._chart.update(self.shown.chart)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)
        self._text = display(_as_html(self.shown.text), display_id=True)
        if self.shown.chart is not None:
            self._chart = display(self.shown.chart, display_id=True)


def _as_html(text: str) -> Any:
    from IPython.display import HTML

    lines = "<br>".join(in_html(line) for line in text.splitlines())
    return HTML(
        f'<p class="engagekit-text" aria-live="polite" style="font-size:16px;max-width:760px">{lines}</p>'
    )


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
    """Make a labelled slider of whole numbers that answers when it is let go."""
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
    """Make a labelled list of which one is chosen; `options` may be (name, value) pairs."""
    return w.Dropdown(
        options=list(options), value=value, description=label, style=LABEL, layout=WIDE
    )


def several(label: str, options: Sequence[Any], value: Sequence[Any]) -> w.SelectMultiple:
    """Make a labelled list of which several may be chosen."""
    rows = min(8, max(3, len(options)))
    return w.SelectMultiple(
        options=list(options),
        value=tuple(value),
        description=label,
        rows=rows,
        style=LABEL,
        layout=WIDE,
    )


def text(label: str, value: str = "", *, placeholder: str = "") -> w.Text:
    """Make a labelled line of text."""
    return w.Text(
        value=value,
        description=label,
        placeholder=placeholder,
        continuous_update=False,
        style=LABEL,
        layout=WIDE,
    )


def button(label: str, act: Callable[[], None]) -> w.Button:
    """Make a button that says what it does."""
    made = w.Button(
        description=label,
        layout=w.Layout(width="auto", min_width="140px", margin="4px 0 4px 226px"),
    )
    made.on_click(lambda _: act())
    return made
