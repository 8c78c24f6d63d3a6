"""The release record that an environment has in the working tree, or why nobody can read it."""

from pathlib import Path

from preflight import release
from preflight.errors import Problem
from preflight.release import Release


def readable(root: Path, environment: str) -> tuple[Release | None, Problem | None]:
    """The record, None before the first release, and what is wrong with it, None if nothing is."""
    try:
        return release.current(root, environment), None
    except Problem as problem:
        return None, problem
    except (OSError, UnicodeDecodeError) as error:
        where, found = release.PLACE.format(environment=environment), type(error).__name__
        return None, Problem(where, found, "a record in UTF-8", "Restore it: git checkout.")
