"""What a rollback changes besides the image, and how fast the cluster follows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

from preflight.deploy import manifests, rendering
from preflight.errors import Problem
from preflight.release import RENDERED, Recorded
from preflight.workspace import run

SHOWN, WIDTH = 3, 70  # changed lines that are shown, and how much of each


@dataclass(frozen=True)
class Change:
    """How many lines differ besides what a record sets, and the first of them in words."""

    lines: int
    shown: tuple[str, ...]

    def __str__(self) -> str:
        """As in: 2 lines besides the image (minReplicas 8 -> 4; without hostNetwork: true)."""
        many = "1 line" if self.lines == 1 else f"{self.lines:,} lines"
        more = "; …" if self.lines > len(self.shown) else ""
        words = f" ({'; '.join(self.shown)}{more})" if self.shown else ""
        return f"{many} besides the image{words}"


def between(root: Path, environment: str, before: str, after: str) -> Change:
    """From the rendered file of one commit to that of another."""
    old, new = (_plain(root, environment, commit).splitlines() for commit in (before, after))
    many, found = 0, []
    for tag, *at in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            many += max(at[1] - at[0], at[3] - at[2])
            pairs = zip_longest(old[at[0] : at[1]], new[at[2] : at[3]], fillvalue="")
            found += [_worded(one.strip(), other.strip()) for one, other in pairs]
    return Change(many, tuple(each[:WIDTH] for each in found[:SHOWN]))


def _plain(root: Path, environment: str, commit: str) -> str:
    """A rendered file with placeholders for the record's values."""
    place = RENDERED.format(environment=environment)
    text = run(root, "git", "show", f"{commit}:{place}", check=False).stdout
    try:
        return rendering.released(text, None)
    except Problem:  # older than the places that today's code knows
        return text


def _worded(old: str, new: str) -> str:
    if not old or not new:
        return f"with {new}" if new else f"without {old}"
    key, _, was = old.partition(": ")
    other, _, now = new.partition(": ")
    return f"{key} {was} -> {now}" if key == other and was else f"{old} -> {new}"


def pace(root: Path, environment: str, known: Sequence[Recorded], stable: str, to: str) -> str:
    """Whether the cluster takes a release at once or by steps; empty where it cannot be told.

    `stable` and `to` are commits that hold records of `known`, newest first. As Argo Rollouts'
    isRollbackWithinWindow: a release older than stable, with fewer than `rollbackWindow.revisions`
    between them, takes no steps.
    """
    by_commit = {each.at: each.release.deploys for each in known}
    order = list(dict.fromkeys(each.release.deploys for each in reversed(known)))
    first, last = order.index(by_commit[to]), order.index(by_commit[stable])
    if first == last:
        return "at once: it is what stable runs"
    if (window := _window(root, environment, to)) is None:
        return ""
    if first > last:
        return "by steps, like a new release: it came after what stable runs"
    if not window:
        return "by steps, like a new release: the Rollout has no rollbackWindow"
    if last - first <= window:
        return f"at once: it is one of the last {window} releases (rollbackWindow)"
    return f"by steps, like a new release: the last {window} alone go at once (rollbackWindow)"


def _window(root: Path, environment: str, commit: str) -> int | None:
    """Revisions of the Rollout's rollbackWindow, 0 without; None where it cannot be read."""
    place = RENDERED.format(environment=environment)
    text = run(root, "git", "show", f"{commit}:{place}", check=False).stdout
    try:
        found = manifests.parse(text, place).one("Rollout")["spec"].get("rollbackWindow") or {}
        return int(found.get("revisions") or 0)
    except (Problem, LookupError, AttributeError, TypeError, ValueError):
        return None
