"""What a change did to one guard, in words."""

from collections.abc import Iterable
from dataclasses import dataclass

SUBJECT, TEXT = 240, 600  # characters


@dataclass(frozen=True)
class Loosening:
    """One guard that a change made weaker.

    `subject` is what a waiver names; `was` and `now` are its values; `words` say what was done.
    """

    words: str
    subject: str
    was: str = ""
    now: str = ""
    remark: str = ""

    def __str__(self) -> str:
        values = f" {self.was} -> {self.now}" if self.was and self.now else ""
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.words}: {self.subject}{values}{remark}"


def loosening(
    words: str, subject: str, was: object = "", now: object = "", remark: str = ""
) -> Loosening:
    """A Loosening of values of any kind, in one printable line of bounded length."""
    return Loosening(words, line(subject, SUBJECT), line(was, 80), line(now, 80), line(remark, 250))


def line(value: object, most: int) -> str:
    """A value in at most `most` printable characters."""
    text = "null" if value is None else str(value)
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def counted(count: int, noun: str) -> str:
    """A count with its noun in the right number."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(items: Iterable[object], most: int = TEXT, count: int = 12, between: str = "; ") -> str:
    """The first few of `items`, at most `most` characters, and how many more there are."""
    texts = [line(item, 300) for item in items]
    shown = texts[:count]
    while True:
        more = len(texts) - len(shown)
        text = between.join(shown) + (f"{between.rstrip(', ')} and {more} more" if more else "")
        if len(text) <= most or not shown:
            return text
        shown.pop()
