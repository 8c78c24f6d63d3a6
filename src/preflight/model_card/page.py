"""The model card, docs/model-card.md: what people know of the model, and what the files say.

Made of committed files alone, and of none that a release changes, so that lint can compare it.
"""

from pathlib import Path

from preflight import params, risk
from preflight import project as seam
from preflight.errors import Problem
from preflight.files import replacing
from preflight.gates import limits
from preflight.model_card import parts
from preflight.model_card import words as people
from preflight.model_card.parts import table
from preflight.model_card.words import QUESTIONS, WORDS

PLACE = Path("docs/model-card.md")
HEAD = f"""\
# What is this model for, and whom do I call?

The answers are [people's]({WORDS.name}), the figures the pipeline's; `preflight card` writes
this page of both. `preflight card production` adds what was measured of production's release."""


def page(root: Path) -> tuple[Path, str]:
    """Where the card stands, and its text.

    Raises Problem for words that cannot be read, NoData before the model was evaluated.
    """
    return root / PLACE, text(root)


def text(root: Path) -> str:
    """The card of a checkout, as Markdown."""
    file = root / "params.yaml"
    known, harm = params.load(file), risk.load(file)
    contract, words = seam.contract(known.project), people.read(root)
    asked = {group: _answers(group, words) for group in QUESTIONS}
    first, *others = asked
    sections = {
        first: asked[first],
        "What goes in, and what comes out": parts.columns(contract),
        "How fast is it?": parts.speed(limits.load(file).load),
        "How good is it?": parts.slices(root, contract),
        **{group: asked[group] for group in others},
        "Which risk tier is it, and what follows?": parts.tier(harm, known.registry.name),
        "How was it made?": parts.made(root, known, contract),
    }
    made = [f"## {title}\n\n{body}" for title, body in sections.items()]
    return "\n\n".join([HEAD, *made]) + "\n"


def _answers(group: str, words: dict[str, str]) -> str:
    lacking = {
        each.question: f"**not answered: it lacks {each.lacks}**" for each in people.gaps(words)
    }
    rows = [
        (each, " ".join(filter(None, (words.get(each), lacking.get(each)))))
        for each in QUESTIONS[group]
    ]
    return table(("question", "answer"), rows)


def write(root: Path) -> bool:
    """Bring the card up to date; whether it changed. Raises Problem as `require_whole` does."""
    require_whole(root)
    path, new = page(root)
    if path.is_file() and path.read_text(encoding="utf-8") == new:
        return False
    with replacing(path) as partial:
        partial.write_text(new, encoding="utf-8")
    return True


def check(root: Path) -> None:
    """Raises Problem where the committed card is another, or lacks what the tier asks for."""
    require_whole(root)
    path, new = page(root)
    if not path.is_file() or path.read_text(encoding="utf-8") != new:
        remedy = "Run `preflight card`, and commit it."
        raise Problem(str(PLACE), "another text", "what its sources give", remedy)


def require_whole(root: Path) -> None:
    """Raises Problem that names what nobody has answered, where the risk tier is high."""
    gaps = people.gaps(people.read(root))
    if gaps and risk.of(root).name == "high":
        named = "; ".join(f"{each.question!r} lacks {each.lacks}" for each in gaps)
        expected = "an answer to each question, as risk tier high asks"
        raise Problem(str(WORDS), named, expected, "Answer it there, and run `preflight card`.")


def unanswered(root: Path) -> list[str]:
    """A line for each gap that the tier lets pass."""
    found = people.gaps(people.read(root))
    return [f"{WORDS}: not answered: {each.question}: it lacks {each.lacks}" for each in found]
