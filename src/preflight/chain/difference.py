"""What differs between two models' commits: data, parameters, metrics, locks; as Markdown."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight.chain import source
from preflight.chain.source import Commit, Source
from preflight.layout import METRICS
from preflight.report import grid
from preflight.report.escape import code, text
from preflight.report.numbers import count

NONE = "-"
Lines = Iterator[str]
Pairs = tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True)
class Difference:
    """From an older commit to a newer: pairs are by name, before and after, None for absent.

    `metrics` are those of all held-out rows, changed or not; the others only what changed.
    `packages` are by lock; `commits` are those between, newest first.
    """

    data: Pairs
    params: Pairs
    metrics: Pairs
    packages: Mapping[str, Pairs]
    commits: tuple[Commit, ...]


def between(root: Path, older: Source, newer: Source) -> Difference:
    """Compare what two commits hold; by Git alone."""
    before, after = older.commit.commit, newer.commit.commit
    locks = [source.locks(root, each) for each in (before, after)]
    names = sorted({*locks[0], *locks[1]})
    packages = {
        name: changed(*(source.packages(each.get(name, "")) for each in locks)) for name in names
    }
    return Difference(
        changed(older.data, newer.data),
        changed(flat(older.params), flat(newer.params)),
        paired(metrics(root, before), metrics(root, after)),
        {name: pairs for name, pairs in packages.items() if pairs},
        source.between(root, before, after),
    )


def metrics(root: Path, commit: str) -> dict[str, Any]:
    """Metrics of all held-out rows, by name; none where the commit has no such file."""
    try:
        found = json.loads(source.text(root, commit, str(METRICS)) or "{}")
    except ValueError:
        return {}
    return flat(found.get("test", {}))


def paired(before: Mapping[str, Any], after: Mapping[str, Any]) -> Pairs:
    """All names of both, in alphabetic order."""
    names = sorted({*before, *after})
    return tuple((name, before.get(name), after.get(name)) for name in names)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Pairs:
    """Those of `paired` that differ."""
    return tuple(each for each in paired(before, after) if each[1] != each[2])


def flat(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted name."""
    return dict(_leaves(nested, above))


def _leaves(nested: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def told(found: Difference) -> Lines:
    """A difference as lines of Markdown."""
    parts = [("data", found.data), ("parameter", found.params)]
    parts += [("metric of all held-out rows", found.metrics)]
    parts += [(f"package in {name}", pairs) for name, pairs in found.packages.items()]
    for what, pairs in parts:
        if pairs:
            yield from table((text(what), "before", "now"), _cells(pairs))
        else:
            yield from (f"No {what} differs.", "")
    if not found.packages:
        yield from ("No package differs.", "")
    yield from (
        f"Between them: {count(len(found.commits), 'commit')}, without those of releases.",
        "",
    )
    for each in found.commits:
        yield f"- {code(each.commit[:12])} {each.at:%Y-%m-%d} {text(each.subject)}"
    yield ""


def _cells(pairs: Pairs) -> list[tuple[str, ...]]:
    return [(code(name), *(_cell(each) for each in values)) for name, *values in pairs]


def _cell(value: Any) -> str:
    if value is None:
        return NONE
    return f"{value:.6g}" if isinstance(value, float) else code(f"{value}", 300)


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    """A table of cells that are escaped already, and the empty line after it."""
    yield from (grid.cells(names, rows), "")
