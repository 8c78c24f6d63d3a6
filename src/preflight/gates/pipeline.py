"""Gate: the candidate is what its commit says, and the champion is another commit."""

import traceback
from pathlib import Path
from typing import Any

from preflight import lineage, params
from preflight.champion import Champion
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings, Notice, Table, told
from preflight.gates.case import Case

GATE = "pipeline"
SHOWN = 60
CURRENT = "The tree is what its committed dvc.lock says: code, parameters, data and answers."
CHAMPION = "The champion is known, is another commit, and its model is whole."


def judge(case: Case) -> Findings:
    """Both sides are current; what differs between them."""
    differences = lineage.status(case.root) or lineage.moved(case.root, case.candidate.reference)
    found = "; ".join(differences[:3]) or f"current with dvc.lock at {case.commit[:12]}"
    remedy = " (run `make repro` and commit dvc.lock)" if differences else ""
    return Findings(
        evidence=(
            told(GATE, "current", CURRENT, not differences, found + remedy),
            told(GATE, "champion", CHAMPION, _is_another(case), str(case.champion)),
        ),
        notices=(Notice(kind="champion", text=_champion(case)),),
        tables=tables(case),
    )


def _is_another(case: Case) -> bool:
    """Asking for the champion's hash verifies every file of its model; Problem says which broke."""
    return case.champion.commit != case.commit and (
        case.rival is None or bool(case.rival.model_hash)
    )


def failed(problem: Problem, *, champion: bool) -> Findings:
    """What is said when one side could not be brought."""
    claim, check = (CHAMPION, "champion") if champion else (CURRENT, "current")
    return Findings(evidence=(told(GATE, check, claim, False, str(problem)),))


def _champion(case: Case) -> str:
    model = f"; model {case.rival.model_hash[:12]}" if case.rival else ""
    same = ", unchanged byte by byte" if case.unchanged else ""
    return f"{case.champion}{model}{same}"


def tables(case: Case) -> tuple[Table, ...]:
    """Identities, parameters, features and data of both sides, where they differ."""
    rival = case.champion.root
    found = [_identity(case)]
    if rival is not None:
        found += _differing("Parameters that differ", _flat(rival), _flat(case.root))
        found += _differing("Data that differs", _hashes(case.champion), _outputs(case.root))
        found += _features(case)
    return tuple(found)


def _identity(case: Case) -> Table:
    ours = case.candidate.described
    theirs = case.rival.described if case.rival else {}
    contracts = [side.contract.hash if side else None for side in (case.rival, case.candidate)]
    rows = [
        ("commit", case.champion.commit, case.commit),
        ("model", theirs.get("model_hash"), ours["model_hash"]),
        ("contract", *contracts),
    ]
    return Table(
        title="Champion and candidate",
        columns=("what", "champion", "candidate"),
        rows=tuple((what, *(value and value[:12] for value in values)) for what, *values in rows),
    )


def _flat(root: Path) -> dict[str, str]:
    return {
        key: str(value) for key, value in params.flat(params.read(root / "params.yaml")).items()
    }


def _hashes(champion: Champion) -> dict[str, str]:
    assert champion.root is not None  # noqa: S101
    return _outputs(champion.root)


def _outputs(root: Path) -> dict[str, str]:
    return {path: found[:12] for path, found in lineage.data_hashes(root).items()}


def _differing(title: str, then: dict[str, str], now: dict[str, str]) -> list[Table]:
    rows = [
        (key[:120], then.get(key, "none")[:120], now.get(key, "none")[:120])
        for key in sorted(then | now)
        if then.get(key) != now.get(key)
    ]
    columns = ("what", "champion", "candidate")
    return [Table(title=title, columns=columns, rows=tuple(rows[:SHOWN]))] if rows else []


def _features(case: Case) -> list[Table]:
    sides: list[dict[str, Any]] = [case.candidate.described]
    sides += [case.rival.described] if case.rival else []
    now, then = (
        {name: "code" if name in side["categorical"] else "number" for name in side["features"]}
        for side in (sides[0], sides[-1])
    )
    return _differing("Features that differ", then, now)


def evidence_of_crash(gate: str, error: Exception) -> Evidence:
    """What is said of a gate that did not come to its end."""
    claim = f"The gate {gate} came to its end."
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return told(gate, "ran", claim, False, f"it crashed: {type(error).__name__} at {place}")
