"""A link of the chain: two ends, what of them was compared, and whether it holds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from preflight.errors import NoData, Problem

Status = Literal["holds", "differs", "absent", "not asked"]
EXIT: dict[Status, int] = {"holds": 0, "differs": 1, "absent": 2, "not asked": 0}
WIDTH = 26  # of a value in the table


@dataclass(frozen=True)
class Compared:
    """One value as both ends of a link have it."""

    what: str
    left: str
    right: str

    @property
    def same(self) -> bool:
        """Whether both ends say the same."""
        return self.left == self.right


@dataclass(frozen=True)
class Link:
    """From one end to the next: each value of both, whether it holds, and what to do if not.

    `why` says what is absent, or why nobody asked.
    """

    name: str
    ends: tuple[str, str]
    compared: tuple[Compared, ...]
    status: Status
    why: str = ""
    remedy: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "name": self.name,
            "from": self.ends[0],
            "to": self.ends[1],
            "status": self.status,
            "compared": [
                {"what": each.what, "left": each.left, "right": each.right}
                for each in self.compared
            ],
            "why": self.why,
            "remedy": self.remedy,
        }


class NotAsked(Exception):
    """A link that lies beyond what was asked about; its text says why."""


@dataclass(frozen=True)
class Step:
    """A link that is still to be looked at; `check` gives what both of its ends say.

    It raises NoData where an end is absent, NotAsked beyond what was asked about, and Problem for
    an end that is broken.
    """

    name: str
    ends: tuple[str, str]
    check: Callable[[], Iterable[Compared]] = field(repr=False)
    remedy: str


def looked(step: Step) -> Link:
    """What a link's ends say of each other."""
    compared: list[Compared] = []
    try:
        for each in step.check():
            compared.append(each)  # one by one: what was compared before an error stays
    except NotAsked as reason:
        return Link(step.name, step.ends, (), "not asked", str(reason))
    except Problem as problem:
        differs = not isinstance(problem, NoData) or any(not each.same for each in compared)
        status: Status = "differs" if differs else "absent"
        return Link(step.name, step.ends, tuple(compared), status, str(problem), step.remedy)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        why = f"an end of an odd form: {type(error).__name__}: {error}"
        return Link(step.name, step.ends, tuple(compared), "differs", why, step.remedy)
    holds = all(each.same for each in compared)
    remedy = "" if holds else step.remedy
    return Link(step.name, step.ends, tuple(compared), "holds" if holds else "differs", "", remedy)


def worst(links: Iterable[Link]) -> Status:
    """differs before absent before holds; what was not asked does not count."""
    found = {link.status for link in links}
    order: tuple[Status, ...] = ("differs", "absent", "holds")
    return next((each for each in order if each in found), "absent")


def lines(links: Sequence[Link]) -> Iterator[str]:
    """A table, a row each value and each link that is broken; below it each reason in full."""
    rows = [("link", "what", "left", "right", "")]
    for link in links:
        for each in link.compared:
            rows.append((link.name, each.what, each.left, each.right, _mark(each)))
        if link.why and EXIT[link.status]:
            rows.append((link.name, "", "", "", link.status.upper()))
    cut = [tuple(_short(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in cut) for column in range(5)]
    for row in cut:
        pairs = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in pairs).rstrip()
    for link in links:
        yield from _said(link)
    beyond: dict[str, list[str]] = {}
    for link in links:
        if link.status == "not asked":
            beyond.setdefault(link.why, []).append(link.name)
    for why, names in beyond.items():
        yield f"not asked: {', '.join(names)}: {why}"


def _mark(each: Compared) -> str:
    return "holds" if each.same else "DIFFERS"


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _said(link: Link) -> Iterator[str]:
    """Each difference in full, as what the table cuts may look alike, and why nobody could look."""
    left, right = link.ends
    for each in link.compared:
        if not each.same:
            told = f"{left} has {each.left}, {right} {each.right}. {link.remedy}"
            yield f"{link.name}: {each.what}: {told}".rstrip()
    if link.why and EXIT[link.status]:
        yield f"{link.name}: {link.status}: {link.why}"


def verdict(links: Sequence[Link], asked: str) -> str:
    """One sentence: whether the chain holds, and the links by name that do not."""
    wanted = [link for link in links if link.status != "not asked"]
    broken = [f"{link.name} {link.status}" for link in wanted if link.status != "holds"]
    many = f"{len(wanted)} of {len(links)} links asked"
    if broken:
        return f"{asked}: the chain is broken: {', '.join(broken)} ({many})."
    return f"{asked}: the chain holds ({many})."
