"""Show how far a long piece of work is: a bar on a terminal, or whatever a caller wants to do with the count."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
Progress: TypeAlias = "bool | Callable[[int, int], None]"


def ticking(items: Sequence[T], *, progress: Progress, what: str) -> Iterator[T]:
    """Hand out items one by one; before the first and after each, say how many of how many are done.

    A bar is drawn only where somebody watches it, and there is something to watch: on a terminal, of several items.
    """
    if progress is True and len(items) > 1 and _watched():
        with _bar(what, len(items)) as tick:
            yield from _told(items, tick)
    elif callable(progress) and items:
        yield from _told(items, progress)
    else:
        yield from items


def _told(items: Sequence[T], tick: Callable[[int, int], None]) -> Iterator[T]:
    for done, item in enumerate(items):
        tick(done, len(items))
        yield item
    tick(len(items), len(items))


def _watched() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed, or replaced by something that is no stream
        return False


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar with the time that is left, which goes when the work is done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done, _: shown.update(task, completed=done)
