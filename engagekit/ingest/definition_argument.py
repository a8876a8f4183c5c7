"""A definition as people hand it over: itself, or the path of its file."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from engagekit.definition import Definition
from engagekit.errors import ParameterError


def definition_of(given: object, *, name: str = "definition") -> Definition:
    """Take a definition, or read it from the file that a path names.

    Raises
    ------
    ParameterError
        It is neither.
    DefinitionError
        The file is no sound definition.
    """
    if isinstance(given, Definition):
        return given
    if isinstance(given, (str, PathLike)):
        return Definition.load(given)
    cure = "ek.Definition.from_table(...) makes one of a dict" if isinstance(given, Mapping) else "ek.Definition(...) makes one"  # fmt: skip
    raise ParameterError(
        f"{name} is a {type(given).__name__}; it takes an ek.Definition or the path of its TOML file ({cure})."
    )
