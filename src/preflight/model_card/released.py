"""The card of what was released: its commit's model card, what was measured of it, what changed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from preflight import evidence, release
from preflight.chain import difference, source
from preflight.errors import NoData
from preflight.evidence import Evidence, Part
from preflight.model_card.page import PLACE
from preflight.model_card.parts import table
from preflight.release import Release
from preflight.report import escape

MEASURED = ("benchmark", "load")
MOST = 8  # slices of a check, the worst first


def text(root: Path, environment: str) -> str:
    """The card of an environment's release, as Markdown.

    Raises NoData before the first release, or where its commit has no card; Problem where the
    commit of the release before is not in this clone.
    """
    found = release.current(root, environment)
    if found is None:
        place = release.PLACE.format(environment=environment)
        raise NoData(place, "no release", "a release record", "Release first; `preflight card`.")
    card = source.text(root, found.commit, str(PLACE))
    if card is None:
        where = f"{PLACE} at {found.commit[:12]}"
        raise NoData(
            where, "no file", "the model card of the release", "`preflight card` has HEAD's."
        )
    parts = _evidence(root, environment)
    sections = {
        f"Release {found.id} in {environment}": _record(found),
        "What was measured of it": _measured(each for each in parts if each.gate in MEASURED),
        "Its slices against the champion's": _slices(
            each for each in parts if each.gate == "slices"
        ),
        "What changed since the release before": _changed(root, found),
    }
    made = [f"## {title}\n\n{body}\n" for title, body in sections.items()]
    return "\n".join([card, *made])


def _evidence(root: Path, environment: str) -> tuple[Part, ...]:
    place = release.EVIDENCE.format(environment=environment)
    if not (root / place).is_file():
        return ()
    return evidence.unpacked((root / place).read_text(encoding="utf-8"), place)


def _record(found: Release) -> str:
    seen = found.approval
    approved = f"{seen.who}, review {seen.review}" if seen else "no approval in its record"
    rows = {
        "model": f"{found.model.name} {found.model.version}, {found.model.hash}",
        "commit": found.commit,
        "image": found.image,
        "data and evidence": f"{found.data}, {found.evidence}",
        "released": f"{found.when:%Y-%m-%d %H:%M} UTC, by {found.who}",
        "approved by": approved,
        "rollout": found.rollout.verdict,
    }
    return table(("what", "which"), [(name, escape.code(each)) for name, each in rows.items()])


def _measured(parts: Iterable[Part]) -> str:
    rows = [
        (
            f"{each.gate}: {each.check}",
            escape.code(each.found),
            escape.code(each.limit) if each.limit else "-",
        )
        for part in parts
        for each in part.evidence
    ]
    return (
        table(("check", "found", "limit"), rows) if rows else "Nothing: no such evidence is kept."
    )


def _slices(parts: Iterable[Part]) -> str:
    rows = [row for part in parts for each in part.evidence for row in _worst(each)]
    head = ("check", "slice", "rows", "measured", "interval")
    return table(head, rows) if rows else "Nothing: no such evidence is kept."


def _worst(found: Evidence) -> Iterator[tuple[str, ...]]:
    for each in found.slices[:MOST]:
        ends = "-" if each.interval is None else f"{each.interval[0]:.3g} to {each.interval[1]:.3g}"
        figure = "-" if each.measured is None else f"{each.measured:.3g}"
        yield found.check, escape.code(each.name), f"{each.n:,}", figure, ends


def _changed(root: Path, found: Release) -> str:
    if found.previous is None:
        return "It is the first."
    before, now = (source.of(root, commit) for commit in (found.previous, found.commit))
    return "\n".join(difference.told(difference.between(root, before, now))).strip()
