"""Run as ``python -m engagekit``."""

from __future__ import annotations

from engagekit.cli import run

if __name__ == "__main__":
    run()
