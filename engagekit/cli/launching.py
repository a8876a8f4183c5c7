"""How a command is launched: options that all commands take, and what becomes of what goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from contextlib import nullcontext
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from engagekit import __version__, errors
from engagekit.cli.saying import HIDDEN_IDS, flags_for, ids_in_warnings, own_fault, quietly, refuse
from engagekit.errors import EngagekitError

app = App(
    name="engagekit",
    help="Find where a product's engagement breaks earliest, how sure that is, and what to do first.",
    version=__version__,
    version_flags=["--version", "-V"],
    help_flags=["--help", "-h"],
)
app.register_install_completion_command(
    help="Have the shell complete commands and options (bash, zsh, fish)."
)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    debug: Annotated[bool, Parameter(negative="")] = False,
    show_ids: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> Any:
    """Run one command.

    Parameters
    ----------
    show_ids
        Name in refusals and warnings the ids of users that they are about.
    debug
        Where something fails, show where in the code, for a report to us; it may hold ids of users.
    quiet
        Say the answer and refusals only: no advice, no progress, nothing about files written.
    """
    try:
        with ids_in_warnings() if show_ids else nullcontext(), quietly(quiet):
            return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError:
        raise
    except Exception as error:
        if show_ids and isinstance(error, EngagekitError):
            errors.show_ids(error)
        if debug and sys.stderr is not None:
            traceback.print_exc()
        raise


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 whatever the verdict, 2 on bad input, 70 on a fault of engagekit's, never a bare traceback."""
    try:
        status = app.meta(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return refuse(str(error), hint="See engagekit --help.")
    except EngagekitError as error:
        hidden = "" if error.with_ids == str(error) else HIDDEN_IDS
        return refuse(str(error), hint="\n".join(filter(None, [flags_for(str(error)), hidden])))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (OSError, ImportError) as error:
        return refuse(f"{type(error).__name__}: {error}")
    except Exception as error:
        return own_fault(error)
    return status if isinstance(status, int) else 0


def run() -> None:
    """Run as an installed command."""
    from engagekit.reporting import mind

    warnings.showwarning = mind  # type: ignore[assignment]
    sys.exit(main())
