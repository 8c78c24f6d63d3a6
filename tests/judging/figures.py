"""Figures of courses: shares with their intervals, requests until decided, tables."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from judging.rivals import Course, Flags
from judging.study import interval
from preflight.rollout.observed import Array
from preflight.rollout.simulation import NEVER

Which = Literal["aborted", "promoted"]


def falsely(course: Course) -> float:
    """The share that is aborted at any look."""
    return course.falsely() / len(course.aborts)


def aborted_by(course: Course) -> Array:
    """The share that was aborted up to each look."""
    looks = course.sent.shape[1]
    found: Array = (course.aborts[:, np.newaxis] <= np.arange(looks)).mean(axis=0)
    return found


def after(course: Course, which: Which) -> Array:
    """Requests of the canary until it came first; infinite where it never did."""
    found = course.decided()
    return found.after(found.aborted if which == "aborted" else found.promoted)


def with_ends(course: Course) -> str:
    """The share that is ever aborted, with its interval."""
    return share_of(course.aborts != NEVER)


def share_of(held: Flags) -> str:
    """A share with its 95% interval."""
    count, whole = int(held.sum()), len(held)
    low, high = interval(count, whole)
    return f"{count / whole:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def quantile(found: Array, part: float) -> str:
    """The requests until this part of all runs was decided so; a dash where fewer were."""
    value = float(np.quantile(found, part, method="inverted_cdf"))
    return f"{value:,.0f}" if np.isfinite(value) else "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
