"""Pictures of a page of the course that not every log has: drawn where the log has them, else said in words."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from engagekit.playbook import or_why, said

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from engagekit.journeys import Journeys
    from engagekit.workshop.session import Session


def steps(
    journeys: Journeys,
    drop_off: pl.DataFrame,
    *,
    draw: Callable[[pl.DataFrame], Any] | None = None,
) -> Any:
    """Draw where users hesitate (by `draw`, else as a plain chart), or say that no steps are defined."""
    from engagekit.charts import step_drop_off

    if not journeys.definition.steps:
        return said(
            "No steps are defined, so it cannot be seen where users hesitate. Steps (reached, completed) go into definition.toml."
        )
    if not drop_off.height:
        return said("No step has been reached by anyone who can be judged.")
    return (draw or step_drop_off)(drop_off)


def coming_and_going(
    session: Session, journeys: Journeys, *, draw: Callable[[pl.DataFrame], Any] | None = None
) -> Any:
    """Draw who came and went week by week; what the log's edges call for is said above it, not printed as a warning."""
    from engagekit.charts import lifecycle as drawn_lifecycle
    from engagekit.engagement import lifecycle

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn = or_why(
            lambda: (draw or partial(drawn_lifecycle, notes=journeys.definition.annotations))(
                lifecycle(session.events(), as_of=journeys.as_of, timezone=journeys.timezone)
            )
        )
    if caught:
        from IPython.display import display

        show: Any = display
        show(said(*dict.fromkeys(str(each.message) for each in caught)))
    return drawn
