"""Text of evidence made harmless: names of columns, slices and files are a contributor's."""

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate

SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control, format (direction, zero width), surrogate, private, unassigned, line and paragraph ends.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters and marks that draw nothing, or draw over their neighbors.
BLANK = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
MAX_MARKS = 2  # stacked on one letter; more paint over the lines around

GAP = "&#8203;"
# A reference and no backslash: GitHub looks for mentions and formulas after it has taken
# backslashes away, and the text of a <summary> has none.
REFERENCES = {char: f"&#{ord(char)};" for char in "\\`*_[]|~^$#{}@"}
REFERENCES |= {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "$": f"{GAP}&#36;{GAP}"}
# Where GitHub looks again in the finished text: a reference alone does not stop it there.
LINKING = re.compile(r"[@#](?=\w)|:(?=//|[\w+-]+:)|GH-(?=\d)|www(?=\.)", re.IGNORECASE)
# What begins a heading, a list, a rule or a quotation.
OPENING = re.compile(r"^(?:[!-/:-@\[-`{-~]|\d+(?=[.)]))")


def visible(text: str) -> str:
    """One line in which whatever is unseen or turns the direction is shown as \\u202e is."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if char in SHORT_ESCAPES:
            shown.append(SHORT_ESCAPES[char])
        elif kind in UNSEEN or char in BLANK or marks > MAX_MARKS:
            shown.append(_escaped(char))
        else:
            shown.append(" " if kind == "Zs" else char)
    return "".join(shown)


@lru_cache(maxsize=4096)  # names of slices and columns come again and again
def text(value: str, most: int | None = None) -> str:
    """Text as Markdown that reads as itself, anywhere: paragraph, table cell, <summary>.

    With `most`, it is cut to that many bytes and ends in an ellipsis.
    """
    plain = " ".join(visible(value).split())[: None if most is None else most + 1]
    units = _units(plain)
    if OPENING.match(plain) and plain[0] not in REFERENCES:
        units[0] = f"&#{ord(plain[0])};" + units[0][1:]
    return "".join(units if most is None else _cut(units, most))


def code(value: str, most: int = 600) -> str:
    """A code span, also in a table cell; text that a span in a cell cannot hold is escaped."""
    plain = clipped(visible(value), most)
    if not plain.strip() or "|" in plain:
        return text(plain)
    fence = "`" * (_longest_run(plain) + 1)
    pad = " " if plain[0] in "` " or plain[-1] in "` " else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def block(value: str) -> str:
    """One line as a fenced block of its own."""
    plain = visible(value)
    fence = "`" * max(3, _longest_run(plain) + 1)
    return f"{fence}sh\n{plain}\n{fence}"


def clipped(value: str, most: int) -> str:
    """At most `most` characters, the last an ellipsis where there were more."""
    return value if len(value) <= most else value[: most - 1] + "…"


def _units(plain: str) -> list[str]:
    """Characters as references, those that would begin a link with a gap after them."""
    units = [REFERENCES.get(char, char) for char in plain]
    for match in LINKING.finditer(plain):
        units[match.end() - 1] += GAP
    return units


def _cut(units: list[str], most: int) -> list[str]:
    if len("".join(units).encode()) <= most:
        return units
    ends = accumulate(len(unit.encode()) for unit in units)
    kept = sum(end <= most - len("…".encode()) for end in ends)
    return [*units[:kept], "…"]


def _longest_run(plain: str) -> int:
    return max((len(run) for run in re.findall("`+", plain)), default=0)


def _escaped(char: str) -> str:
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
