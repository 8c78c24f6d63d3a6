"""Gate: the same recipe gives the same bytes, within the champion's size, with linear features."""

import json
import re

from preflight.conformal import Interval
from preflight.evidence import Evidence, Findings, told
from preflight.files import read_json
from preflight.gates.case import Case
from preflight.layout import LOOKUP, PACKAGED, SPLIT

GATE = "build"
GROWTH_ROWS = 2_500


def judge(case: Case) -> Findings:
    """Reproducible training, size, memory, complexity, growth of feature code."""
    return Findings(evidence=(_twice(case), _intervals(case), *_sizes(case), *_growth(case)))


def _twice(case: Case) -> Evidence:
    """The packaged files are what the recipe gives from data/split/train.parquet."""
    claim = "Training again on the same rows gives the packaged model, byte by byte."
    train, lookup = case.root / SPLIT / "train.parquet", case.root / LOOKUP
    packaged = case.candidate.described["files"]
    _, once = case.candidate.refit(train, lookup, None, [])
    odd = [name for name, found in once.items() if packaged.get(name) != found]
    found = f"{len(once)} files with the same bytes"
    if odd:
        _, again = case.candidate.refit(train, lookup, None, [])
        free = [name for name in odd if again[name] != once[name]]
        found = (
            f"{free[0]} differs from one training to the next: a seed is left free"
            if free
            else f"{odd[0]} is not what the recipe gives from {SPLIT}/train.parquet: "
            "fitted on other rows, or with other code or parameters"
        )
    return told(GATE, "same-bytes", claim, not odd, found, n=len(once))


def _intervals(case: Case) -> Evidence:
    """The packaged intervals are those that data/split/calibrate.parquet gives."""
    claim = "The packaged intervals are calibrated on the calibration rows, and on no others."
    rows, chosen = case.part("calibrate"), case.params["calibrate"]
    packaged = read_json(case.root / PACKAGED / "interval.json")
    again = None
    if len(rows):
        target = rows[case.contract.target.name].to_numpy()
        predicted = case.candidate.unclipped(rows)
        fitted = Interval.fit(predicted, target, chosen["coverage"], chosen["groups"])
        again = json.loads(json.dumps(fitted.as_dict()))
    found = "equal" if again == packaged else "other intervals than these rows give"
    return told(GATE, "intervals", claim, again == packaged, found, n=len(rows))


def _sizes(case: Case) -> list[Evidence]:
    limits, ours = case.limits.build, case.candidate.described
    theirs = case.rival.described if case.rival else {}
    pairs = [
        (
            "size",
            "bytes of the model's files",
            ours["bytes"],
            theirs.get("bytes"),
            limits.max_size_ratio,
        ),
        (
            "memory",
            "memory of a process that loaded it",
            ours["memory"],
            theirs.get("memory"),
            limits.max_memory_ratio,
        ),
    ]
    before = theirs.get("complexity", {})
    pairs += [
        (_check(name), f"number of {name}", count, before.get(name), limits.max_trees_ratio)
        for name, count in ours["complexity"].items()
    ]
    return [_ratio(*pair) for pair in pairs]


def _ratio(check: str, what: str, ours: float, theirs: float | None, most: float) -> Evidence:
    claim = f"The {what} is at most {most:g} times the champion's."
    if not theirs:
        found = f"{ours:,}; the champion has none to compare with"
        return told("build", check, claim, True, found, measured=float(ours))
    return told(
        GATE,
        check,
        claim,
        ours <= most * theirs,
        f"{ours:,} against {theirs:,}",
        measured=ours / theirs,
        limit=f"<= {most:g} x",
    )


def _growth(case: Case) -> list[Evidence]:
    most = case.limits.build.max_growth
    told_by_worker = case.candidate.growth(case.held_out, GROWTH_ROWS)
    lines = []
    for name, (small, large) in told_by_worker.items():
        ratio = large / max(small, 1e-9)
        lines.append(
            told(
                GATE,
                f"growth-{name}",
                f"Four times the rows cost features about four times the {name}.",
                ratio <= most,
                f"{ratio:.1f} times the {name}"
                + ("" if ratio <= most else ": grows faster than the rows"),
                measured=ratio,
                limit=f"<= {most:g}",
                n=4 * GROWTH_ROWS,
            )
        )
    return lines


def _check(name: str) -> str:
    """A count's name as the name of a check."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:41] or "count"
