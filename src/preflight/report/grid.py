"""Markdown tables and folded sections, of cells and titles that are escaped already."""

from collections.abc import Collection, Sequence

from preflight.evidence import Status
from preflight.report.numbers import count
from preflight.report.summary import MARKS, WORDS

SPACE = "&nbsp;"


def cells(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()
) -> str:
    """A table; the columns at the places in `right` are aligned to the right."""
    rule = ["---:" if place in right else "---" for place in range(len(columns))]
    return "\n".join(_row(row) for row in (columns, rule, *rows))


def folded(title: str, body: str) -> str:
    """A folded section; nothing when there is no body."""
    if not body:
        return ""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def mark(status: Status) -> str:
    """A status as a mark and a word, on one line."""
    return f"{MARKS[status]} {WORDS[status]}".replace(" ", SPACE)


def more(quantity: int, noun: str) -> str:
    """`3 more checks`."""
    return count(quantity, f"more {noun}")


def _row(row: Sequence[str]) -> str:
    return "| " + " | ".join(cell or " " for cell in row) + " |"
