"""One prediction and every link behind it: log, model, releases, evidence, commit and data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from preflight import params
from preflight import project as seam
from preflight.chain import history, source, weights
from preflight.chain.history import Stint
from preflight.chain.reasons import Reasons, explained
from preflight.chain.source import Proof, Source
from preflight.chain.weights import Weight
from preflight.contract import Contract
from preflight.errors import Problem
from preflight.log import view
from preflight.params import Params


@dataclass(frozen=True)
class Outcome:
    """What really happened, None where nothing came; `fate` says what it counts as, or why not."""

    value: float | None
    received: str | None
    fate: str


@dataclass(frozen=True)
class Standing:
    """A release of the prediction's model in one environment, and its part at the time.

    `role` is canary, stable or absent; `weight` is the canary's there, whoever that was.
    """

    stint: Stint
    role: str
    weight: Weight
    proof: Proof


@dataclass(frozen=True)
class Trace:
    """A prediction's way back; `odd` are sentences on standings that do not fit, or are not there.

    The first of `standings` is the environment that was asked for, else the last of those where the
    release was at the time: the log itself does not say where a prediction was made.
    """

    record: Mapping[str, Any]
    unit: str
    outcome: Outcome
    reasons: Reasons
    standings: tuple[Standing, ...]
    source: Source | None
    odd: tuple[str, ...]


def trace(root: Path, folder: Path, prediction_id: str, environment: str | None = None) -> Trace:
    """Trace a prediction of a log; raises NoData for an id that is not there, Problem for no id.

    An environment that never had a release is a Problem; whatever else is missing is in `odd`.
    """
    known = history.stints(root)
    _require(environment, known)
    record = view.find(folder, prediction_id)
    at = datetime.fromisoformat(record["at"])
    standings = _standings(root, known, record, at, environment)
    made, lost = _source(root, record["commit"])
    chosen = params.load(root / "params.yaml")
    contract = seam.contract(chosen.project)
    reasons = explained(root, record)
    odd = (*_odd(record, at, standings, made), *lost, *reasons.odd)
    shown = {**record, "input": _masked(contract, record["input"])}
    if shown["input"] != record["input"]:  # a feature may be the very value
        reasons = replace(reasons, values={})
    outcome = _outcome(folder, contract, chosen, record, at)
    return Trace(shown, contract.target.unit or "", outcome, reasons, standings, made, odd)


def plain(found: Trace) -> dict[str, Any]:
    """A trace as plain data for JSON, with the same keys whatever is missing."""
    return {
        "prediction": dict(found.record),
        "unit": found.unit,
        "outcome": asdict(found.outcome),
        "explanation": asdict(found.reasons),
        "releases": [_plain_standing(each) for each in found.standings],
        "source": asdict(found.source) if found.source else None,
        "odd": list(found.odd),
    }


def _plain_standing(each: Standing) -> dict[str, Any]:
    """A release with its whole record, and its part at the time."""
    stint, parts = each.stint, each.proof.parts
    return {
        "id": stint.release.id,
        "record": stint.release.model_dump(mode="json"),
        "record_at": stint.held,
        "role": each.role,
        "since": stint.since,
        "until": stint.until,
        "returned": asdict(stint.brought) if stint.returned else None,
        "canary": asdict(each.weight),
        "gates": None if parts is None else {part.gate: part.status for part in parts},
    }


def _require(environment: str | None, known: Sequence[Stint]) -> None:
    names = sorted({each.environment for each in known})
    if environment and environment not in names:
        found = f"no release record of {environment!r}"
        expected = f"one of {', '.join(names) or 'none: nothing was released yet'}"
        raise Problem("--env", found, expected, "Name another, or none.")


def _standings(
    root: Path, known: Sequence[Stint], record: Mapping[str, Any], at: datetime, wanted: str | None
) -> tuple[Standing, ...]:
    """Releases of the record's model: those of that time first, the last released before others."""
    own = [
        each
        for each in known
        if (each.release.commit, each.release.model.version)
        == (record["commit"], record["model_version"])
        and wanted in (None, each.environment)
    ]
    own.sort(key=lambda each: (each.served(at), each.since), reverse=True)
    return tuple(
        Standing(
            each,
            _role(each, at),
            weights.at(root, each.environment, known, at),
            source.proof(root, each),
        )
        for each in own
    )


def _role(stint: Stint, at: datetime) -> str:
    if not stint.served(at):
        return "absent"
    return "canary" if stint.rolling(at) else "stable"


def _source(root: Path, commit: str | None) -> tuple[Source | None, list[str]]:
    if not commit:
        return None, ["its record names no commit: the model was never registered"]
    try:
        return source.of(root, commit), []
    except Problem as problem:
        return None, [f"{problem.where}: {problem.found}. {problem.remedy}"]


def _odd(
    record: Mapping[str, Any], at: datetime, standings: Sequence[Standing], made: Source | None
) -> list[str]:
    from preflight.lineage import data_digest

    if not standings:
        name = f"version {record['model_version']}, commit {str(record['commit'])[:12]}"
        return [f"no release record names {name}: served without a release, or not fetched yet"]
    first, found = standings[0].stint.release, []
    if not standings[0].stint.served(at):
        found.append(f"{first.id} was in no environment at that time: served elsewhere")
    pairs = [
        ("model hash", record["model_hash"], first.model.hash),
        ("Bento", record["bento"], first.bento),
        ("data digest", data_digest(made.data) if made else first.data, first.data),
    ]
    for name, left, right in pairs:
        if left != right:
            found.append(f"{name}: {str(left)[:24]} here, {right[:24]} in the release record")
    return found + [each.proof.odd for each in standings[:1] if each.proof.odd]


def _masked(contract: Contract, given: Mapping[str, Any]) -> dict[str, Any]:
    """An input without what today's contract calls sensitive and the log holds in clear."""
    from preflight.log.inputs import hashed
    from preflight.serving.hashing import MARK

    hidden = hashed(contract)
    clear = {name for name in hidden & given.keys() if not str(given[name]).startswith(MARK)}
    return {name: "sensitive: not shown" if name in clear else given[name] for name in given}


def _outcome(
    folder: Path, contract: Contract, chosen: Params, record: Mapping[str, Any], at: datetime
) -> Outcome:
    """The outcome as every report counts it, by the time of the prediction."""
    from preflight.watch.outcomes import Window, joined

    hours = chosen.outcomes.maturity_hours
    start, maturity = view.naive(at), timedelta(hours=hours)
    window = Window(start, start + timedelta(milliseconds=1), maturity)
    rows = joined(view.connect(folder, start.date(), start.date()), window, contract.target)
    found = (dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall())
    own = next((each for each in found if each["prediction_id"] == record["id"]), None)
    if own is None or own["received"] is None:
        return Outcome(None, None, f"none has come; one counts within {hours:g} hours")
    return Outcome(own["told"], f"{own['received']:%Y-%m-%dT%H:%M:%S}Z", own["fate"])
