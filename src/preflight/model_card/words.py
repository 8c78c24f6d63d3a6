"""What only people know of the model: docs/model-card.in.md, and what it leaves unanswered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from preflight.errors import Problem

WORDS = Path("docs/model-card.in.md")
ORIGINS = "Where harm could come from, and what prevents it"
QUESTIONS: dict[str, tuple[str, ...]] = {
    "What it is": (
        "What does it predict?",
        "For whom?",
        "Owner, and whom to call",
        "Team",
        "Is machine learning needed?",
        "Algorithm",
        "Pretrained weights",
        "How often is it updated?",
        "Expected traffic",
        "Data size",
        "Product fit",
        "Regulated?",
    ),
    "Limits of use": (
        "What is it not for?",
        "What can it not know?",
        "How could it be misused?",
        "Which features can be gamed?",
    ),
    "Risks": (
        "What if it acts in the worst imaginable way?",
        "What leaks if users ask it systematically?",
        "Financial risk",
        "Business risk",
        "Legal risk",
        "Safety risk",
        "Reputational risk",
    ),
    ORIGINS: (
        "Design, training or evaluation is wrong",
        "The service fails while it runs",
        "Bad data",
        "The world differs from the data",
        "Some errors cost more than others",
        "Misuse",
        "Somebody attacks it",
        "The law",
        "A good name lost",
    ),
}
UNKNOWN = re.compile(r"[\W_]*(todo|tbd|fixme|\?+|)[\W_]*", re.IGNORECASE)


@dataclass(frozen=True)
class Gap:
    """A question without an answer, or without what its answer must have."""

    question: str
    lacks: str


def read(root: Path) -> dict[str, str]:
    """The answers by question, each in one line; raises Problem for a heading that is none."""
    path = root / WORDS
    if not path.is_file():
        raise Problem(str(WORDS), "no file", "the words of the model card", "Restore it.")
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, str]:
    """The answers of a text of headings; a question that has none is left out.

    Raises Problem for a heading that is no question of ours, or that stands twice.
    """
    parts = re.split(r"^(##+) +(.+?) *$", re.sub(r"<!--.*?-->", "", text, flags=re.S), flags=re.M)
    found: dict[str, str] = {}
    for level, heading, body in zip(*(parts[each::3] for each in (1, 2, 3)), strict=True):
        known = QUESTIONS if level == "##" else _questions()
        if heading not in known or heading in found:
            raise _odd(heading, list(known), twice=heading in found)
        if level != "##":
            found[heading] = " ".join(body.split())
    return {question: words for question, words in found.items() if not UNKNOWN.fullmatch(words)}


def gaps(words: Mapping[str, str]) -> list[Gap]:
    """The questions that nobody has answered, in their order, and origins without a link."""
    lacking = [Gap(each, "an answer") for each in _questions() if each not in words]
    unlinked = [each for each in QUESTIONS[ORIGINS] if each in words and "](" not in words[each]]
    return lacking + [Gap(each, "a link to what prevents it") for each in unlinked]


def _questions() -> list[str]:
    return [each for group in QUESTIONS.values() for each in group]


def _odd(heading: str, known: list[str], *, twice: bool) -> Problem:
    near = get_close_matches(heading, known, n=1)
    remedy = f"Did you mean `{near[0]}`?" if near and not twice else "Remove one."
    found = f"the heading {heading!r} twice" if twice else f"the heading {heading!r}"
    return Problem(str(WORDS), found, "each question of the card once", remedy)
