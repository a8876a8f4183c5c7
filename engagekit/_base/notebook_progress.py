"""A bar while a notebook waits: shown for work in several parts, and gone when it is done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_notebook() -> bool:
    """Say whether a notebook's kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def bar(what: str) -> Callable[[int, int], None]:
    """Make a function of ``done, total`` that shows a bar from the first call to the last; one part needs none."""
    shown: list[tuple[Any, Any]] = []

    def tick(done: int, total: int) -> None:
        if total < 2:
            return
        if not shown:
            shown.append(_displayed(what, total))
        line, place = shown[0]
        line.value = done
        line.description = f"{what}: {done} of {total}"
        if done == total:
            line.close()
            place.update({"text/plain": "", "text/html": ""}, raw=True)

    return tick


def _displayed(what: str, total: int) -> tuple[Any, Any]:
    import ipywidgets as w
    from IPython.display import display

    line = w.IntProgress(
        max=total,
        description=what,
        style={"description_width": "initial"},
        layout=w.Layout(width="100%", max_width="760px"),
    )
    show: Callable[..., Any] = display
    plain = {"text/plain": f"{what} …"}
    return line, show((line._repr_mimebundle_() or {}) | plain, raw=True, display_id=True)
