"""A team's session: its definition, controls, votes, decisions and notes, kept in one folder and never lost."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shortly
from typing import TYPE_CHECKING, Any

from engagekit._base import write_whole, writing
from engagekit.definition import Definition
from engagekit.errors import ParameterError, StoredFileError, nearest
from engagekit.workshop import ballots, drafts

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    import polars as pl

    from engagekit._base import Progress
    from engagekit.journeys import Journeys

SCHEMA_VERSION = 3
FILE = "session.json"
DEFINITION_FILE = "definition.toml"
# What a session file holds besides its version; each part is a table of its own.
PARTS = ("about", "controls", "votes", "late", "decisions", "notes", "plan", "draft")
ABOUT = ("team", "events", "users", "as_of")  # what is said of a session; each is a text
# A change of these is a change of the decision record; of the controls, what ballots keep there.
RECORDED = ("votes", "late", "decisions", "notes", "plan", "draft")
BALLOT_CONTROLS = tuple(
    f"{ballot}{what}" for ballot in ballots.BALLOTS for what in ("", " revealed")
)
DEEPEST = (
    50  # tables and lists inside each other: what is written must be readable wherever it is read
)
LOCK_SECONDS = 20
MEASURED = (
    "measured usage interval"  # kept as a control: another one in the definition was set by hand
)


@dataclass(frozen=True)
class Session:
    """Keep what a team has set, voted and decided, in one folder, whole after every change.

    Every read looks at the file and every change rewrites it under a lock, so two notebooks open at once
    see and keep each other's changes, and a notebook run again from the top shows the same state.

    Parameters
    ----------
    folder
        The team's folder; made if missing. Without a ``session.json``, the session starts empty.
    show_ids
        Whether an opened mark of a chart may show ids and hand them over as CSV; a choice of whoever runs the notebook,
        stored nowhere.

    Raises
    ------
    StoredFileError
        The session file is broken, or a newer engagekit wrote it; it is left as it is. Changes raise it too where
        the folder cannot be written to or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> session = Session(tempfile.mkdtemp())
    >>> session.set("habit target", 0.5)
    >>> Session(session.folder).get("habit target")
    0.5
    """

    folder: Path
    show_ids: bool
    _lock: Any = field(init=False, repr=False, compare=False)
    _answered: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __init__(self, folder: str | os.PathLike[str] = ".", *, show_ids: bool = False) -> None:
        """Open the folder and check that its session can be read."""
        from filelock import FileLock

        path = Path(folder)
        object.__setattr__(self, "show_ids", show_ids)
        with writing(str(path)):
            path.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "folder", path)
        object.__setattr__(self, "_lock", FileLock(path / ".session.lock", timeout=LOCK_SECONDS))
        object.__setattr__(self, "_answered", {})
        self._read()

    # State ----------------------------------------------------------------------------------------

    def _read(self) -> dict[str, dict[str, Any]]:
        path = self.folder / FILE
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {part: {} for part in PARTS}
        except (OSError, ValueError, RecursionError) as error:
            raise StoredFileError(
                f"The session {str(path)!r} cannot be read ({error}). It is left as it is; move it away to start anew."
            ) from None
        version = state.get("schema_version") if isinstance(state, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoredFileError(
                f"The session {str(path)!r} was written by a newer engagekit (schema {version}); install that one."
            )
        if version not in range(1, SCHEMA_VERSION + 1) or not _is_sound(state):
            raise StoredFileError(
                f"{str(path)!r} is no session of engagekit. It is left as it is; move it away to start anew."
            )
        found = {part: state.get(part, {}) for part in PARTS}
        return found if version == SCHEMA_VERSION else drafts.as_now(found)

    def _change(self, change: Callable[[dict[str, dict[str, Any]]], Any]) -> Any:
        """Change the state and store it; where the decision record says it, write that anew too."""
        with self._locked():
            state, before = self._read(), self._read()
            answer = change(state)
            whole = {"schema_version": SCHEMA_VERSION} | state
            write_whole(self.folder / FILE, _as_bytes(whole))
            if _recorded(state) != _recorded(before):
                self.export()
        return answer

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import Timeout

        try:
            with writing(str(self.folder)), self._lock:
                yield
        except StoredFileError as error:
            if not isinstance(error.__cause__, Timeout):
                raise
            raise StoredFileError(
                f"The session in {str(self.folder)!r} is being written elsewhere for {LOCK_SECONDS} s; try again."
            ) from None

    def part(self, name: str) -> dict[str, Any]:
        """Return one part of the session as it stands on disk now.

        Raises
        ------
        ParameterError
            There is no such part.
        """
        if name not in PARTS:
            raise ParameterError(
                f"A session has no part {name!r}.{nearest(name, PARTS)} Its parts are {', '.join(PARTS)}."
            )
        return self._read()[name]

    def get(self, control: str, default: Any = None) -> Any:
        """Return the stored value of a control, or `default`."""
        return self._read()["controls"].get(control, default)

    def set(self, control: str, value: Any) -> None:
        """Store the value of a control: text, number, true/false, or lists and tables of these."""
        self._put("controls", control, value)

    def note(self, section: str, text: str) -> None:
        """Store what the team notes on a section; an empty text removes it."""
        self._put("notes", section, text.strip() or None)

    def decide(self, question: str, answer: Any, *, today: date | None = None) -> None:
        """Record what the team agreed on, with the day if one is given; None takes it back."""
        entry = (
            None
            if answer is None
            else {"answer": answer} | ({"on": today.isoformat()} if today else {})
        )
        self._put("decisions", question, entry)

    def suggest(self, question: str, answer: str) -> None:
        """Keep what may be agreed on, as a draft; what is agreed already stands until the team decides anew."""
        _check("decisions", {question: answer})
        self._change(lambda state: drafts.suggest(state, question, answer.strip()))

    def propose(self, plan: Mapping[str, Any]) -> None:
        """Keep the play card as a draft; a plan that is decided already stands beside it."""
        _check("plan", plan)
        self._change(lambda state: drafts.propose(state, plan))

    def settle(self, plan: Mapping[str, Any], *, on: date, by: str) -> None:
        """Record the play card as decided, by whom and on which day; an earlier decision is kept with it.

        Raises
        ------
        ParameterError
            Nobody is named who decides.
        """
        _check("plan", plan)
        self._change(lambda state: drafts.settle(state, plan, on=on, by=by))

    # Ballots --------------------------------------------------------------------------------------

    def vote(
        self, name: str, choice: Any, *, ballot: str = ballots.LINK, replace: bool = True
    ) -> bool:
        """Record one person's choice, late where the votes are revealed; None takes it back.

        One person is one name, whatever its case and blanks. Without `replace`, a vote that this person has cast already
        stands; whether the new one was stored comes back.

        Raises
        ------
        ParameterError
            The name is empty or too long for a name, or the choice cannot be stored.
        """
        _check(ballot, {name: choice})
        stored: bool = self._change(
            lambda state: ballots.cast(state, ballot, name, choice, replace=replace)
        )
        return stored

    def votes(self, ballot: str = ballots.LINK) -> dict[str, Any]:
        """Return the votes of a ballot, name to choice."""
        return ballots.votes_in(self._read(), ballot)

    def late(self, ballot: str = ballots.LINK) -> list[str]:
        """Name those whose votes came after the reveal."""
        return ballots.late_in(self._read(), ballot)

    def revealed(self, ballot: str = ballots.LINK) -> bool:
        """Tell whether the votes of a ballot are revealed."""
        return ballots.is_revealed(self._read(), ballot)

    def reveal(self, ballot: str = ballots.LINK) -> None:
        """Reveal the votes of a ballot; votes cast from now on are late."""
        self._change(lambda state: ballots.reveal(state, ballot))

    def start_over(self, ballot: str = ballots.LINK) -> None:
        """Forget the votes of a ballot, and cover it again."""
        self._change(lambda state: ballots.start_over(state, ballot))

    def _put(self, part: str, key: str, value: Any) -> None:
        _check(part, {key: value})

        def change(state: dict[str, dict[str, Any]]) -> None:
            if value is None:
                state[part].pop(key, None)
            else:
                state[part][key] = value

        self._change(change)

    def update(self, part: str, values: Mapping[str, Any]) -> None:
        """Store several values of one part at once, beside what it holds."""
        self.part(part)
        _check(part, values)
        self._change(lambda state: state[part].update(values))

    def replace(self, part: str, values: Mapping[str, Any]) -> None:
        """Store several values of one part at once, instead of what it holds."""
        self.part(part)
        _check(part, values)
        self._change(lambda state: state.__setitem__(part, dict(values)))

    def reset(self, part: str) -> None:
        """Empty one part, such as the votes before a second round."""
        self.part(part)
        self._change(lambda state: state[part].clear())

    # Definition and data --------------------------------------------------------------------------

    @property
    def team(self) -> str:
        """The team's name: as given, else the folder's."""
        return str(self._read()["about"].get("team") or self.folder.resolve().name)

    @property
    def definition(self) -> Definition:
        """The team's definition; without one and without a log of its own, the bundled sample's."""
        path = self.folder / DEFINITION_FILE
        if path.exists() or "events" in self._read()["about"]:
            return Definition.load(path)
        from engagekit.simulation import load_sample

        definition: Definition = load_sample().definition
        return definition

    def define(self, definition: Definition) -> None:
        """Write the team's definition, whole or not at all; a record that is there says where it has changed."""
        with self._locked():
            definition.save(self.folder / DEFINITION_FILE)
            if self._read()["plan"]:
                self.export()

    def targets(self) -> dict[str, float] | None:
        """Return the targets the team set on the sliders; None where it has not touched them: the definition's hold."""
        set_by_team = self.get("targets")
        if not isinstance(set_by_team, dict):
            return None
        return {link: value / 100 for link, value in set_by_team.items() if value}

    def events(self) -> pl.LazyFrame:
        """Return the event log the session is about: the workshop's, else the bundled sample."""
        log, _, _ = self.data()
        if isinstance(log, Path):
            from engagekit.rollups import open_prepared

            return open_prepared(log).log
        return log

    def data(self) -> tuple[pl.LazyFrame | Path, pl.DataFrame | None, str | None]:
        """Return the log (a frame, or the folder where it lies prepared), the users table and the end of the data."""
        about = self._read()["about"]
        if "events" not in about:
            from engagekit.simulation import load_sample

            sample = load_sample()
            return sample.events, sample.users, about.get("as_of") or sample.as_of
        from engagekit.ingest import read_users
        from engagekit.rollups import open_prepared

        folder, end = self.folder / about["events"], about.get("as_of") or None
        users = about.get("users")
        if users is None:
            return folder, None, end
        ids = open_prepared(folder).log.collect_schema()["user_id"]
        return folder, read_users(self.folder / users, ids=ids), end

    def journeys(self, *, progress: Progress | None = None) -> Journeys:
        """Roll the log up under the team's definition, as it stands now, or open what was kept of that.

        Where that takes several parts, a notebook shows a bar meanwhile, unless `progress` says otherwise.
        """
        from engagekit._base import bar, in_notebook
        from engagekit.workshop.kept_journeys import rolled_up

        if progress is None:
            progress = bar("Reading the log") if in_notebook() else False
        log, users, as_of = self.data()
        definition, self._answered["stands on"] = self.definition, self._standing()
        return rolled_up(log, definition, users=users, as_of=as_of, progress=progress)

    def _standing(self) -> tuple[Definition, dict[str, Any]]:
        about = self.part("about")
        return self.definition, {key: about.get(key) for key in ("events", "users", "as_of")}

    @property
    def outdated(self) -> bool:
        """Whether the definition or the data have changed since this session rolled its log up, here or in another notebook."""
        return "stands on" in self._answered and self._answered["stands on"] != self._standing()

    def planned(self) -> list[str]:
        """Say the plan in lines for a review: play, owner, target, when to look again, what would change our mind."""
        from engagekit.workshop.decision_record import planned

        return planned(self)

    def picture(self, svg: str, *, decided: bool) -> None:
        """Keep the picture of the loop that the draft, or the decision, stands on."""
        from engagekit.workshop.decision_record import DECIDED, DRAWN

        with self._locked():
            write_whole(self.folder / (DECIDED if decided else DRAWN), svg.encode())

    def export(self) -> tuple[Path, Path]:
        """Write the decision record beside the session, as Markdown and HTML; return both paths."""
        from engagekit.workshop.decision_record import export

        return export(self)


def _recorded(state: dict[str, dict[str, Any]]) -> list[Any]:
    kept = [state["controls"].get(name) for name in BALLOT_CONTROLS]
    return [*(state[part] for part in RECORDED), *kept]


def is_team(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder holds a team's session."""
    return (Path(folder) / FILE).is_file()


def _is_sound(state: Any) -> bool:
    parts = [state.get(part, {}) for part in PARTS]
    return all(isinstance(part, dict) for part in parts) and all(
        isinstance(state.get("about", {}).get(key, ""), str) for key in ABOUT
    )


def _check(part: str, values: Mapping[str, Any]) -> None:
    faults = [
        f"{key!r} is no name; it takes a text." for key in values if not isinstance(key, str)
    ] + [
        f"{key!r} takes a text, but got {shortly(value)}."
        for key, value in values.items()
        if part == "about" and key in ABOUT and not isinstance(value, str)
    ]
    for key, value in values.items():
        try:
            json.dumps(value, allow_nan=False, sort_keys=True)
            _measure([value])
        except (TypeError, ValueError, RecursionError):
            faults.append(
                f"{key!r} got {shortly(value)}, which cannot be stored; it takes text, numbers, true/false, lists and tables."
            )
    if faults:
        raise ParameterError.from_faults(f"The session's {part} stay as they are", faults)


def _measure(value: Any, deepest: int = DEEPEST + 1) -> None:
    if not deepest:
        raise ValueError("nested too deeply")
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list, tuple)):
            _measure(each, deepest - 1)


def _as_bytes(state: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(state, indent=1, ensure_ascii=False, sort_keys=True)
    except RecursionError:
        raise StoredFileError(
            "The session is nested too deeply to be written; it is left as it is."
        ) from None
    # Half a character, as a JSON file can name one, goes back as it came: as an escape.
    return text.encode("utf-8", "backslashreplace")
