"""The text of a promotion's pull request: what it is, what spoke for it, and what changes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from preflight.deploy import change
from preflight.evidence import Headline, Part
from preflight.release import Release
from preflight.report import numbers, summary
from preflight.report.escape import code, text
from preflight.report.grid import cells

LONG = 700  # bytes of a sentence
HEADLINES = 8


def body(
    tree: Path, source: Release, record: Release, parts: Sequence[Part], again: str | None
) -> str:
    """Markdown; HEAD of `tree` is the promotion's commit. No foreign text becomes markup."""
    blocks = [_what(source, record), _evidence(parts), _changes(tree, record)]
    if again:
        blocks.insert(0, f"**It was left before, and comes again:** {text(again, LONG)}")
    return "\n\n".join(block for block in blocks if block) + "\n"


def _what(source: Release, record: Release) -> str:
    rows = [
        ["model", code(f"{record.model.name} {record.model.version}")],
        ["commit", code(record.commit[:12])],
        ["image", code(record.image)],
        ["Bento", code(record.bento)],
        ["log", text(record.run, LONG) if record.run else "none: built outside of Actions"],
        ["the judge", text(source.rollout.reason or "gave no reason", LONG)],
    ]
    head = f"Promoted in {text(source.environment)} at {source.rollout.at or 'an unknown time'}."
    return f"{head}\n\n{cells(['', record.id], rows)}"


def _evidence(parts: Sequence[Part]) -> str:
    verdict = summary.verdict(parts)
    head = f"{summary.MARKS[verdict.status]} {verdict.word}: {verdict.reason}"
    rows = [_headline(each) for each in summary.headlines(parts)[:HEADLINES]]
    table = cells(["number", "champion", "candidate"], rows, right=(1, 2)) if rows else ""
    return f"**Evidence**: {head}\n\n{table}".strip()


def _headline(each: Headline) -> list[str]:
    unit = f" ({text(each.unit, LONG)})" if each.unit else ""
    figures = numbers.number(each.champion), numbers.number(each.candidate)
    return [text(each.name, LONG) + unit, *figures]


def _changes(tree: Path, record: Release) -> str:
    found = change.between(tree, record.environment, "HEAD^", "HEAD")
    return "\n".join(_listed(record, found))


def _listed(record: Release, found: change.Change) -> Iterator[str]:
    left = f"release of {record.previous[:12]}" if record.previous else "first release"
    yield f"**Changes** in {text(record.environment)}: image and record ({left})"
    yield f"and {text(str(found), LONG)}." if found.lines else "and nothing besides."
