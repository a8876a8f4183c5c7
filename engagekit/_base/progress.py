"""Show how far a long piece of work is: a bar on a terminal, or whatever a caller wants to do with the count."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
Progress: TypeAlias = "bool | Callable[[int, int], None]"
WIDTH = 30


def ticking(items: Sequence[T], *, progress: Progress, what: str) -> Iterator[T]:
    """Hand out items one by one; before the first and after each, say how many of how many are done.

    A bar is drawn only where somebody watches it, and there is something to watch: on a terminal, of several items.
    """
    tick = (lambda done, total: _bar(done, total, what)) if progress is True else progress
    if progress is True and (len(items) < 2 or not _watched()):
        tick = False
    for done, item in enumerate(items):
        if tick:
            tick(done, len(items))
        yield item
    if tick and items:
        tick(len(items), len(items))


def _watched() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed, or replaced by something that is no stream
        return False


def _bar(done: int, total: int, what: str) -> None:
    filled = WIDTH * done // total
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total}{end}")
    sys.stderr.flush()
