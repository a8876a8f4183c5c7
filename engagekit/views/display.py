"""How our charts show themselves: without internet, with nothing in them that a page could run, wherever they stand.

Each class is altair's own with other ways of being shown; altair, its renderer and other people's charts stay as they
are. Altair's methods keep the class, so what is made of such a chart shows itself in the same way.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from engagekit._base import write_whole
from engagekit.views import offline
from engagekit.views.looks import LOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    _Base = alt.TopLevelMixin
else:
    _Base = object  # a class directly below TopLevelMixin would be among those that alt.Chart.from_dict tries

# What begins or ends a script or a comment in HTML. Where a chart of ours is part of another, whose renderer may not
# escape it, a sign that nobody sees goes between its first two characters: it looks the same, and nothing runs.
_RUNS = re.compile(r"<(?=/?script|!--)", re.IGNORECASE)
_UNSEEN = "\u2060"  # word joiner
_PARTS = ("layer", "concat", "hconcat", "vconcat", "spec")
_OURS = "engagekit"
_ENDS_JSON = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def inert(thing: Any) -> Any:
    """Return the same values, in which no text begins or ends a script."""
    if isinstance(thing, str):
        return _RUNS.sub(f"<{_UNSEEN}", thing)
    if isinstance(thing, dict):
        return {inert(key): inert(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [inert(each) for each in thing]
    return thing


def displayed(chart: Any) -> Any:
    """Make a chart one of ours; what is none, such as what altair itself gives up on, stays what it is."""
    kind = _KINDS.get(type(chart))
    if kind is None:
        return chart
    made = chart.copy(deep=False)
    object.__setattr__(made, "__class__", kind)  # altair takes plain attributes for the chart's own
    return made


class _Displayed(_Base):
    """What the classes below share."""

    def _drawn(self) -> Any:
        found = self._get("data")  # type: ignore[attr-defined]
        return found.copy(deep=False) if isinstance(found, alt.Data) else found

    # Another one each time: a chart that holds this one takes data for its own, past `to_dict`, if it knows them again.
    data: Any = property(_drawn)

    def to_dict(self, *args: Any, context: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Return the specification: with our looks and numbers where it stands alone, without them inside another."""
        context = dict(context or {})
        if context.get("top_level", True):
            context[_OURS] = True
            return super(_Displayed, _dressed(self)).to_dict(*args, context=context, **kwargs)
        left_out = [*(kwargs.pop("ignore", None) or []), "usermeta"]
        data = context.setdefault("datasets", {})
        before = dict(data)
        spec = super().to_dict(*args, context=context, ignore=left_out, **kwargs)
        if context.get(_OURS):
            return spec
        data |= {name: inert(rows) for name, rows in data.items() if rows is not before.get(name)}
        return inert(spec)

    def to_json(self, *args: Any, **kwargs: Any) -> str:
        """Return the specification as JSON that may stand in a script."""
        return super().to_json(*args, **kwargs).translate(_ENDS_JSON)

    def to_html(  # type: ignore[override]
        self,
        *,
        embed_options: Mapping[str, Any] | None = None,
        fullhtml: bool = True,
        **_: Any,
    ) -> str:
        """Return a page, or a piece of one, that draws the chart without internet.

        What altair takes beside these says where drawing scripts come from; here they are always inside.
        """
        spec = _asked(self._spec(), embed_options)
        return offline.page_html(spec) if fullhtml else offline.alone_html(spec)

    def save(self, fp: Any, format: Any = None, **kwargs: Any) -> None:  # type: ignore[override]  # noqa: A002
        """Write the chart into a file: html draws without internet; json, png, svg and pdf as altair writes them."""
        named = isinstance(fp, (str, Path))
        if (format or (Path(fp).suffix.lstrip(".").lower() if named else None)) != "html":
            super().save(fp, format, **kwargs)
            return
        page = self.to_html(embed_options=kwargs.get("embed_options"))
        if named:
            write_whole(fp, page.encode())
        else:
            fp.write(page)

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, str]:
        return offline.mimebundle(self._spec())

    def display(self, *args: Any, **kwargs: Any) -> None:
        """Show the chart; what altair takes here are vega-embed's options, for where it is drawn live."""
        from IPython.display import display

        options = dict(zip(("renderer", "theme", "actions"), args, strict=False)) | kwargs
        show: Any = display
        show(offline.mimebundle(_asked(self._spec(), options)), raw=True)

    def show(self) -> None:
        """Show the chart, in a browser where altair was told to."""
        if alt.renderers.active != "browser":
            self.display()
            return
        from altair.utils._show import open_html_in_browser

        open_html_in_browser(self.to_html())

    def _spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.to_dict(context={"pre_transform": False})
        return spec

    def __add__(self, other: Any) -> Any:
        return displayed(super().__add__(other))

    def __or__(self, other: Any) -> Any:
        return displayed(super().__or__(other))

    def __and__(self, other: Any) -> Any:
        return displayed(super().__and__(other))

    def __radd__(self, other: Any) -> Any:
        return displayed(type(other).__add__(other, self))

    def __ror__(self, other: Any) -> Any:
        return displayed(other.__class__.__or__(other, self))

    def __rand__(self, other: Any) -> Any:
        return displayed(type(other).__and__(other, self))

    def repeat(self, *args: Any, **kwargs: Any) -> Any:
        """Repeat the chart, as altair does."""
        return displayed(super().repeat(*args, **kwargs))

    def facet(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the chart once per value, as altair does."""
        return displayed(super().facet(*args, **kwargs))  # type: ignore[misc]


# Named like altair's: its names of views are made from these.
class Chart(_Displayed, alt.Chart):
    """A chart of one view."""


class LayerChart(_Displayed, alt.LayerChart):
    """Charts over each other."""


class ConcatChart(_Displayed, alt.ConcatChart):
    """Charts in rows and columns."""


class HConcatChart(_Displayed, alt.HConcatChart):
    """Charts side by side."""


class VConcatChart(_Displayed, alt.VConcatChart):
    """Charts below each other."""


class FacetChart(_Displayed, alt.FacetChart):
    """A chart once per value."""


class RepeatChart(_Displayed, alt.RepeatChart):
    """A chart once per field."""


_KINDS: dict[type, type] = {
    alt.Chart: Chart,
    alt.LayerChart: LayerChart,
    alt.ConcatChart: ConcatChart,
    alt.HConcatChart: HConcatChart,
    alt.VConcatChart: VConcatChart,
    alt.FacetChart: FacetChart,
    alt.RepeatChart: RepeatChart,
}


def _asked(spec: dict[str, Any], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write vega-embed's options where it looks for them."""
    if not options:
        return spec
    return spec | {"usermeta": spec.get("usermeta", {}) | {"embedOptions": inert(dict(options))}}


def _dressed(chart: Any) -> Any:
    """Give a chart that stands alone its looks, and the words and numbers of all charts in it.

    Only now: altair joins no charts that have looks of their own.
    """
    made = chart.copy(deep=False)
    made.config = _over(LOOKS, _plain(chart, "config"))
    found = list(_inside(chart))
    tables = [t for each in found if (t := _plain(each, "usermeta").get(_OURS))]
    if tables:
        numbers = tables[0] if len(tables) == 1 else tables
        made.usermeta = _plain(chart, "usermeta") | {_OURS: numbers}
    if words := [text for each in found if isinstance(text := _said(each, "description"), str)]:
        made.description = " ".join(words)
    return made


def _inside(chart: Any) -> Iterator[Any]:
    """Take a chart, or the charts it was joined of, that have words or numbers."""
    if isinstance(_said(chart, "description"), str) or _plain(chart, "usermeta"):
        yield chart
        return
    for name in _PARTS:
        held = _said(chart, name)
        for part in held if isinstance(held, list) else [held]:
            if isinstance(part, alt.TopLevelMixin):
                yield from _inside(part)


def _said(chart: Any, name: str) -> Any:
    return getattr(chart, name, None)


def _plain(chart: Any, name: str) -> dict[str, Any]:
    """Return what a chart says under a name as plain values, also where it says nothing."""
    found = _said(chart, name)
    found = found.to_dict() if hasattr(found, "to_dict") else found
    return dict(found) if isinstance(found, dict) else {}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others, level by level."""
    both = {k: _over(below[k], v) for k, v in above.items() if isinstance(v, dict) and isinstance(below.get(k), dict)}  # fmt: skip
    return {**below, **above, **both}
