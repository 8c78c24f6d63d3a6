"""A comment's sections on each gate: red ones open, green ones folded, tables and charts."""

from collections.abc import Sequence

from preflight.evidence import Cell, Chart, Evidence, Part, SliceFinding, Table
from preflight.report import sparks, summary
from preflight.report.escape import block, text
from preflight.report.fit import Block
from preflight.report.grid import SPACE, cells, folded, mark, more
from preflight.report.numbers import count, number
from preflight.report.summary import MARKS, WORDS

CLAIM = 300  # bytes
FOUND = 500
SHORT = 200
LINES = 30  # checks of a red gate that stand open
COMMANDS = 5
WORST = 8  # slices of a check that stand open
# The kinds of fit.SHEDDING
GREEN, TABLES, CHARTS = "checks of green gates", "tables", "charts"
LONG, FAILING, RED = "long lists of slices", "lists of failing slices", "checks of red gates"
UNDER_GREEN, UNDER_REST = "### Green gates", "### Tables and charts"


def blocks(parts: Sequence[Part]) -> list[Block]:
    """Gates that are not green, then the green ones, then tables and charts."""
    dark = [part for part in parts if part.status != "pass"]
    green = [part for part in parts if part.status == "pass"]
    found = [
        *(each for part in dark for each in _dark(part)),
        *(_green_checks(part, UNDER_GREEN) for part in green),
        *(each for part in parts for each in _attached(part)),
    ]
    return [each for each in found if each.text]


def _dark(part: Part) -> list[Block]:
    """A gate that is red or without data: its checks, the commands that show them, its slices."""
    heading = f"### {MARKS[part.status]} {part.gate}: {WORDS[part.status]}"
    lines = [line for line in summary.by_severity(part.evidence) if line.status != "pass"]
    return [
        Block(_checks(lines[:LINES]), RED, heading),
        Block(_commands(lines), RED, heading),
        *(each for line in lines for each in _slices(line, heading)),
        _green_checks(part, heading),
    ]


def _green_checks(part: Part, heading: str) -> Block:
    lines = [line for line in part.evidence if line.status == "pass"]
    title = f"{MARKS['pass']} {part.gate}: {count(len(lines), 'green check')}"
    return Block(folded(title, _checks(lines) if lines else ""), GREEN, heading)


def _checks(lines: Sequence[Evidence]) -> str:
    columns = ["", "check", "found", "measured", "limit"]
    return cells(columns, [_check(line) for line in lines])


def _check(line: Evidence) -> list[str]:
    found = text(line.found, FOUND)
    if line.details:
        found += f"<br><sub>Table: {text(line.details, SHORT)}</sub>"
    return [
        mark(line.status),
        f"**{line.check}**<br>{text(line.claim, CLAIM)}",
        found,
        _figure(line),
        text(line.limit, SHORT),
    ]


def _commands(lines: Sequence[Evidence]) -> str:
    commands = summary.commands(lines)
    found = []
    for command, checks in list(commands.items())[:COMMANDS]:
        named = ", ".join(checks[:COMMANDS])
        if len(checks) > COMMANDS:
            named += f" and {more(len(checks) - COMMANDS, 'check')}"
        found.append(f"See it at home ({named}):\n\n{block(command)}")
    if len(commands) > COMMANDS:
        found.append(f"And {more(len(commands) - COMMANDS, 'command')}, in the HTML page.")
    return "\n\n".join(found)


def _slices(line: Evidence, heading: str) -> list[Block]:
    """The worst slices open, all of them folded where there are more."""
    listed = summary.slices(line)
    failing = [each for each in listed if each.status != "pass"][:WORST]
    found = []
    if failing:
        found.append(
            Block(f"Slices of **{line.check}**:\n\n{_slice_table(failing)}", FAILING, heading)
        )
    if len(listed) > len(failing):
        title = f"All {count(len(listed), 'slice')} of {line.check}"
        found.append(Block(folded(title, _slice_table(listed)), LONG, heading))
    return found


def _slice_table(slices: Sequence[SliceFinding]) -> str:
    columns = ["", "slice", "measured", "limit"]
    return cells(columns, [_slice(each) for each in slices])


def _slice(found: SliceFinding) -> list[str]:
    return [
        mark(found.status),
        text(found.name, SHORT),
        _figure(found),
        text(found.limit, SHORT),
    ]


def _attached(part: Part) -> list[Block]:
    """A gate's tables and charts, and the slices of its green checks; all folded."""
    green = [line for line in part.evidence if line.status == "pass" and line.slices]
    return [
        *(Block(_table(part.gate, each), TABLES, UNDER_REST) for each in part.tables),
        *(Block(_chart(part.gate, each), CHARTS, UNDER_REST) for each in part.charts),
        *(Block(_green_slices(part.gate, line), LONG, UNDER_REST) for line in green),
    ]


def _table(gate: str, table: Table) -> str:
    columns = [text(name, SHORT) for name in table.columns]
    right = [place for place in range(len(columns)) if _numeric(table, place)]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return folded(f"{gate}: {text(table.title, SHORT)}", cells(columns, rows, right))


def _chart(gate: str, chart: Chart) -> str:
    columns, rows = sparks.chart(chart)
    unit = f" ({text(chart.unit, SHORT)})" if chart.unit else ""
    return folded(f"{gate}: {text(chart.title, SHORT)}{unit}", cells(columns, rows))


def _green_slices(gate: str, line: Evidence) -> str:
    title = f"{gate}: {count(len(line.slices), 'slice')} of {line.check}"
    return folded(title, _slice_table(summary.slices(line)))


def _figure(found: Evidence | SliceFinding) -> str:
    return summary.measured(found).replace("n = ", f"n{SPACE}={SPACE}")


def _cell(cell: Cell) -> str:
    return text(cell, SHORT) if isinstance(cell, str) else number(cell)


def _numeric(table: Table, place: int) -> bool:
    return bool(table.rows) and not any(isinstance(row[place], str) for row in table.rows)
