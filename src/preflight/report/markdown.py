"""Evidence as one Markdown comment: the verdict first, the detail folded under it."""

from collections.abc import Sequence

from preflight.evidence import Headline, Part, digest
from preflight.report import gate_sections, numbers, summary
from preflight.report.escape import code, text
from preflight.report.fit import Block, fitted
from preflight.report.grid import cells, folded, mark, more
from preflight.report.summary import MARKS, Open

SENTENCE = 700  # bytes of what was found, or declared
NAME = 160  # bytes of a slice's or a number's name
CHECKS = 12  # not green, on the first screen
NOTICES = 5  # of a kind
GATES = 60


def render(parts: Sequence[Part], commit: str) -> str:
    """One comment of less than 65,536 bytes; detail that does not fit is named and left out.

    Nothing of the evidence becomes markup, a mention, a link or a line of its own.
    """
    blocks = [
        *_first_screen(parts, commit),
        Block(_gates(parts)),
        *gate_sections.blocks(parts),
        Block(_footer(parts)),
    ]
    return fitted([block for block in blocks if block.text])


def _first_screen(parts: Sequence[Part], commit: str) -> list[Block]:
    verdict = summary.verdict(parts)
    headlines = summary.headlines(parts)
    return [
        Block(f"## {MARKS[verdict.status]} {verdict.word}: {verdict.reason}"),
        Block(_subject(parts, commit)),
        Block(_why(parts)),
        Block(_notices(parts)),
        Block(_numbers(headlines[:3])),
        Block(folded("More numbers", _numbers(headlines[3:])), "tables"),
    ]


def _subject(parts: Sequence[Part], commit: str) -> str:
    champions = summary.champion(parts)
    against = "; ".join(text(each, SENTENCE) for each in champions[:2])
    if len(champions) > 2:
        against += f"; {more(len(champions) - 2, 'champion')}"
    return f"Commit {code(commit[:12])} against champion: {against or 'none named'}"


def _why(parts: Sequence[Part]) -> str:
    found = summary.not_green(parts)
    lines = [_reason(each) for each in found[:CHECKS]]
    if len(found) > CHECKS:
        lines.append(f"- {more(len(found) - CHECKS, 'check')} not green, below.")
    return "\n".join(lines)


def _reason(each: Open) -> str:
    line = f"- {MARKS[each.line.status]} **{each.gate} / {each.line.check}**: "
    line += text(each.line.found, SENTENCE)
    if each.slice is None or each.slice.name in each.line.found:
        return line
    limit = f", limit {text(each.slice.limit, NAME)}" if each.slice.limit else ""
    name = text(each.slice.name, NAME) or "(no name)"
    figure = summary.measured(each.slice)
    return f"{line} <br>Worst slice: **{name}** {figure}{limit}"


def _notices(parts: Sequence[Part]) -> str:
    """Some of each kind, so that many of one cannot push another out of sight."""
    found = summary.notices(parts)
    if not found:
        return ""
    lines = ["**To know before approving**", ""]
    for kind, title in summary.NOTICES.items():
        texts = [notice.text for notice in found if notice.kind == kind]
        lines += [f"- {title}: {text(each, SENTENCE)}" for each in texts[:NOTICES]]
        if len(texts) > NOTICES:
            lines.append(f"- {title}: {len(texts) - NOTICES} more, in the HTML page.")
    return "\n".join(lines)


def _numbers(headlines: Sequence[Headline]) -> str:
    if not headlines:
        return ""
    columns = ["number", "champion", "candidate", "change (interval)"]
    return cells(columns, [_headline(each) for each in headlines], right=(1, 2))


def _headline(headline: Headline) -> list[str]:
    change = summary.change(headline)
    word = f"**{change.word}**" if change.tone in ("good", "bad") else change.word
    ends = f"<br><sub>{change.interval}</sub>" if change.interval else ""
    unit = f" ({text(headline.unit, NAME)})" if headline.unit else ""
    return [
        text(headline.name, NAME) + unit,
        numbers.number(headline.champion),
        numbers.number(headline.candidate),
        f"{change.arrow} {word}{ends}".strip(),
    ]


def _gates(parts: Sequence[Part]) -> str:
    listed = sorted(parts, key=lambda part: summary.SEVERITY.index(part.status))
    rows = [
        [
            mark(part.status),
            part.gate,
            summary.passed(part),
            numbers.duration(part.seconds),
        ]
        for part in listed[:GATES]
    ]
    if not rows:
        return ""
    if len(parts) > GATES:
        rows.append(["", more(len(parts) - GATES, "gate"), "", ""])
    return cells(["verdict", "gate", "checks green", "time"], rows, right=(2, 3))


def _footer(parts: Sequence[Part]) -> str:
    took = numbers.duration(sum(part.seconds for part in parts))
    return (
        f"<sub>Evidence `{digest(parts)}`: the digest names this set and proves nothing. "
        f"The gates took {took}.</sub>"
    )
