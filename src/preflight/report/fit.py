"""Blocks of a comment, and what goes when they are more than GitHub takes."""

from collections.abc import Sequence
from dataclasses import dataclass

GITHUB = 65_536  # characters of a comment
MOST = 64_000  # bytes: leaves room for the line by which a bot finds its own comment again
NOTE = 600  # bytes that the note on what was left out takes at most

SHEDDING = (
    "checks of green gates",
    "tables",
    "charts",
    "long lists of slices",
    "lists of failing slices",
    "checks of red gates",
)


@dataclass(frozen=True)
class Block:
    """A paragraph, table or folded list; `kind` is one of SHEDDING, or empty for what stays.

    Blocks that stand next to each other with the same `heading` share it.
    """

    text: str
    kind: str = ""
    heading: str = ""


def fitted(blocks: Sequence[Block], most: int = MOST) -> str:
    """The blocks in at most `most` bytes: detail goes from the end, kind by kind, and is named.

    The last block is the footer; the note on what was left out stands above it.
    """
    room = most - NOTE - sum(_size(block) for block in blocks if not block.kind)
    gone = _gone(blocks, room)
    kept = [block for place, block in enumerate(blocks) if place not in gone]
    note = [_left_out([blocks[place].kind for place in gone])] if gone else []
    return joined([*kept[:-1], *note, *kept[-1:]])


def _gone(blocks: Sequence[Block], room: int) -> set[int]:
    """Places of what goes: of what may, the last to go takes its room first."""
    gone = set()
    for place in reversed(_order(blocks)):
        size = _size(blocks[place])
        if size > room:
            gone.add(place)
        else:
            room -= size
    return gone


def joined(blocks: Sequence[Block]) -> str:
    """Blocks with an empty line between, and their headings."""
    lines: list[str] = []
    heading = ""
    for block in blocks:
        if block.heading and block.heading != heading:
            lines.append(block.heading)
        heading = block.heading or heading
        lines.append(block.text)
    return "\n\n".join(lines) + "\n"


def _order(blocks: Sequence[Block]) -> list[int]:
    """Places of what may go, the first to go first."""
    order = {kind: rank for rank, kind in enumerate(SHEDDING)}
    loose = [place for place, block in enumerate(blocks) if block.kind]
    return sorted(loose, key=lambda place: (order[blocks[place].kind], -place))


def _left_out(kinds: Sequence[str]) -> Block:
    what = ", ".join(f"{kind} ({kinds.count(kind)})" for kind in SHEDDING if kind in kinds)
    return Block(
        f"**Left out here**, since a comment holds {GITHUB:,} characters: {what}. "
        "The HTML page of this report has all of it."
    )


def _size(block: Block) -> int:
    return len(block.text.encode()) + len(block.heading.encode()) + 4
