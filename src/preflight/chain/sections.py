"""A trace as a person reads it: sections of aligned lines, each link named, none too long."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from preflight.chain.history import utc
from preflight.chain.trace import Standing, Trace
from preflight.lineage import data_digest
from preflight.report.escape import clipped, visible

WIDTH, MOST = 120, 3  # of what stands behind a key: characters of a line, and lines
FEATURES = 8  # that are shown, largest first
MONTHS = 6  # newest, whose hashes are shown
KEY = 18
Lines = Iterator[tuple[str, str]]


def shown(found: Trace) -> str:
    """A trace for a terminal: at most 60 lines; JSON has all of it."""
    sections = {
        "prediction": _prediction(found),
        "why": _why(found),
        "model": _model(found),
        "release": _release(found),
        "commit": _commit(found),
        "data": _data(found),
        "parameters": _params(found),
        "environment": _locks(found),
        "what does not fit": (("", each) for each in found.odd),
    }
    lines = [line for name, each in sections.items() for line in _section(name, each)]
    return "\n".join(lines)


def _section(name: str, lines: Lines) -> Iterator[str]:
    told = list(lines)
    if told:
        yield name
    for key, text in told:
        first, *rest = wrap(visible(text), WIDTH, max_lines=MOST, placeholder=" …") or ["-"]
        yield f"  {clipped(visible(key), KEY):{KEY}} {first}"
        yield from (f"  {'':{KEY}} {each}" for each in rest)


def _prediction(found: Trace) -> Lines:
    record = found.record
    yield "id", record["id"]
    yield "made", f"{record['at']}, request {record['request_id']}"
    yield "client", f"{record['client']}, entity {record['entity']}"
    yield "input", ", ".join(f"{name} {json.dumps(value)}" for name, value in _given(found))
    yield "answer", f"{record['value']:.6g} {found.unit}s{_interval(record)}"
    yield "flags", ", ".join(record["flags"] or ["none"])
    yield "arm", f"{record['arm'] or 'none: no proxy'}; mode {record['mode']}"
    yield "outcome", _outcome(found)


def _given(found: Trace) -> list[tuple[str, Any]]:
    given: Mapping[str, Any] = found.record["input"]
    return list(given.items())


def _interval(record: Mapping[str, Any]) -> str:
    if record["lower"] is None:
        return ", without an interval"
    return f", interval {record['lower']:.6g} to {record['upper']:.6g}"


def _outcome(found: Trace) -> str:
    one = found.outcome
    if one.value is None:
        return one.fate
    return f"{one.value:.6g} {found.unit}s, received {one.received}: {one.fate}"


def _why(found: Trace) -> Lines:
    why = found.reasons
    yield "source", why.said
    if why.base is not None:
        yield "(base)", f"{why.base:+.3f}"
    largest = sorted(why.contributions.items(), key=lambda each: -abs(each[1]))
    for name, part in largest[:FEATURES]:
        value = f", being {why.values[name]:.6g}" if name in why.values else ""
        yield name, f"{part:+.3f}{value}"
    if len(largest) > FEATURES:
        yield "…", f"{len(largest) - FEATURES} more: preflight explain {found.record['id']}"


def _model(found: Trace) -> Lines:
    record = found.record
    name = found.standings[0].stint.release.model.name if found.standings else "version"
    yield "version", f"{name} {record['model_version']}, contract {record['contract']}"
    yield "hash", f"sha256:{record['model_hash']}"
    yield "Bento", str(record["bento"])
    if found.standings:
        yield "image", found.standings[0].stint.release.image


def _release(found: Trace) -> Lines:
    for each in found.standings[:1]:
        yield from _standing(each)
    others = [f"{each.stint.environment} ({each.role})" for each in found.standings[1:]]
    if others:
        yield "also in", f"{', '.join(others)}; the log names no environment: see --env"


def _standing(each: Standing) -> Lines:
    stint, record = each.stint, each.stint.release
    until = f"{stint.until:%Y-%m-%d %H:%M}" if stint.until else "now"
    yield "id", f"{record.id} in {stint.environment}: {each.role} at that time"
    yield "there", f"{stint.since:%Y-%m-%d %H:%M} to {until} UTC, by record at {stint.held[:12]}"
    yield "canary", each.weight.said
    yield (
        "released",
        f"by {record.who} at {utc(record.when):%Y-%m-%d %H:%M} UTC; artifacts {record.artifacts}",
    )
    if stint.returned:
        came = stint.brought
        yield "came back", f"by {came.by} at {came.at:%Y-%m-%d %H:%M} UTC: {came.why or 'rollback'}"
    yield "approved", _approval(each)
    ended = f" at {utc(record.rollout.at):%Y-%m-%d %H:%M} UTC" if record.rollout.at else ""
    reason = f": {record.rollout.reason}" if record.rollout.reason else ""
    yield "verdict", f"{record.rollout.verdict}{ended}{reason}"
    yield "evidence", f"sha256:{record.evidence}"
    yield "gates", _gates(each)
    yield "report", f"pull request {record.pull_request or 'none'}, run {record.run or 'none kept'}"


def _approval(each: Standing) -> str:
    approval = each.stint.release.approval
    if approval is None:
        return "no approval in its record"
    return f"by {approval.who}, of {approval.commit[:12]}, review {approval.review}"


def _gates(each: Standing) -> str:
    if each.proof.parts is None:
        return "not known: its evidence is not in Git"
    commit, _, path = each.stint.evidence.partition(":")
    return f"{each.proof.green} of {len(each.proof.parts)} green, see git show {commit[:12]}:{path}"


def _commit(found: Trace) -> Lines:
    if made := found.source:
        yield "commit", made.commit.commit
        yield "made", f"by {made.commit.author} at {made.commit.at:%Y-%m-%d %H:%M} UTC"
        yield "subject", made.commit.subject
        if found.standings and (number := found.standings[0].stint.release.pull_request):
            yield "pull request", str(number)


def _data(found: Trace) -> Lines:
    if made := found.source:
        yield "months", f"{', '.join(made.months[-MONTHS:])} ({len(made.months)} in all)"
        yield "digest", f"sha256:{data_digest(made.data)}"
        own = {path: md5 for path, md5 in made.data.items() if _is_month(path, made.months)}
        for path in sorted(own)[-MONTHS:]:
            yield path.rpartition("/")[2].partition(".")[0], f"md5 {own[path]}, {path}"


def _is_month(path: str, months: tuple[str, ...]) -> bool:
    return any(month in path for month in months)


def _params(found: Trace) -> Lines:
    if made := found.source:
        names = [name for name in ("features", "model") if isinstance(made.params.get(name), dict)]
        for section in names:
            plain = {**made.params[section]}
            features = plain.pop("features", None)
            yield section, ", ".join(f"{name} {value}" for name, value in plain.items())
            if features:
                yield "features", ", ".join(map(str, features))


def _locks(found: Trace) -> Lines:
    if made := found.source:
        for path, digest in made.locks.items():
            yield path.rpartition("/")[2], f"sha256:{digest}"
