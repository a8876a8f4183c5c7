"""What the tests of panels share: a log, and a way to press a button as the browser does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engagekit.widgets.panel import Panel

DAY = "2026-11-28"


def send(panel: Panel, act: str, *, sure: bool = False, **values: object) -> dict:
    """Hand a panel's form what the browser sends when a button is pressed."""
    return panel.form.receive({"id": 1, "act": act, "values": values, "on": DAY, "sure": sure})


def described(panel: Panel) -> None:
    """Hold what every panel owes: a heading, a label on each control and line, and words beside it."""
    assert panel.heading in panel.box.children[0].value
    assert all(control.description for control in panel.controls.values())
    assert all(field["label"] for field in getattr(panel.form, "fields", []))
    assert panel.text.strip()
