"""A form that hands over all it holds in one message, so that nothing typed meets a kernel that is busy halfway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from ipywidgets import widget_serialization

from engagekit.errors import EngagekitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ipywidgets as w


PING = (
    "ping"  # asks for an answer alone: whatever was sent before it has been handled, or never came
)


@dataclass(frozen=True)
class Message:
    """What the browser sends: what to do, what stood in the fields, on which day there, and whether it was asked back."""

    act: str
    values: dict[str, Any]
    on: date | None = None
    sure: bool = False


@dataclass(frozen=True)
class Reply:
    """What goes back: words, whether it was kept, or a question with what to answer yes or no."""

    said: str = ""
    kept: bool = True
    ask: str = ""
    yes: str = ""
    no: str = ""


def line(
    name: str, label: str, *, value: str = "", placeholder: str = "", secret: bool = False
) -> dict[str, Any]:
    """Describe a line of text; a secret one shows as dots."""
    kind = "password" if secret else "text"
    return {"name": name, "label": label, "kind": kind, "value": value, "placeholder": placeholder}


def action(
    act: str,
    label: str,
    *,
    clears: bool = False,
    needs: str = "",
    on_enter: bool = False,
    defines: bool = False,
) -> dict[str, Any]:
    """Describe a button.

    `clears` empties the fields once they are sent, `needs` is said where one of them is empty, and after one that
    `defines`, open pages look whether they are of an older definition.
    """
    told = {"act": act, "label": label, "clears": clears, "needs": needs, "enter": on_enter}
    return told | {"defines": defines}


def script(name: str) -> str:
    """Put what widgets share before the script of one."""
    folder = Path(__file__).parent
    return "".join((folder / part).read_text(encoding="utf-8") for part in ("shared.js", name))


class Sender:
    """What takes messages of the browser, one after the other, and answers each."""

    def listen(self, handle: Callable[[Message], Reply]) -> None:
        """Have every message handled, and its answer sent back."""
        self._handle = handle
        widget: Any = self
        widget.on_msg(lambda _, content, __: widget.send(self.receive(content)))

    def receive(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Handle one message of the browser; what cannot be done comes back in words, and nothing is lost."""
        given = content.get("values")
        message = Message(
            str(content.get("act", "")),
            dict(given) if isinstance(given, dict) else {},
            _day(content.get("on")),
            sure=content.get("sure") is True,
        )
        try:
            reply = Reply() if message.act == PING else self._handle(message)
        except EngagekitError as error:
            reply = Reply(str(error), kept=False)
        told = {"said": reply.said, "kept": reply.kept, "ask": reply.ask}
        return told | {"yes": reply.yes, "no": reply.no, "id": content.get("id")}


class Form(Sender, anywidget.AnyWidget):
    """Lines and buttons; each press of a button, or Enter, is one message with all lines and the day in the browser.

    What is sent is shown as on its way until Python has answered: what was not kept stands there again, so no keystroke
    is lost while a kernel is busy. With `reads`, the values of other controls come along as they stand in the browser.
    With `drafts`, what is typed is sent on leaving a line too, as ``draft``. With `watches`, the form asks, as ``look``,
    whenever it comes into sight or a page changes the definition. With a `key`, what no kernel has answered is sent again by
    the form of this key that is drawn next.
    """

    _esm = script("form.js")
    _css = Path(__file__).parent / "form.css"

    key = traitlets.Unicode().tag(sync=True)
    fields: Any = traitlets.List().tag(sync=True)
    actions: Any = traitlets.List().tag(sync=True)
    drafts = traitlets.Bool(default_value=False).tag(sync=True)
    watches = traitlets.Bool(default_value=False).tag(sync=True)
    reads = traitlets.Dict().tag(sync=True, **widget_serialization)

    def __init__(
        self,
        fields: list[dict[str, Any]],
        actions: list[dict[str, Any]],
        handle: Callable[[Message], Reply],
        *,
        reads: Mapping[str, w.Widget] | None = None,
        drafts: bool = False,
        watches: bool = False,
        key: str = "",
    ) -> None:
        read = dict(reads or {})
        super().__init__(fields=fields, actions=actions, reads=read, drafts=drafts, watches=watches)
        self.key = key
        self.listen(handle)


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
