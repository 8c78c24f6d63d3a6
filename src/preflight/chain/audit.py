"""A released version on one Markdown page for an auditor, by Git alone."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml

from preflight import lineage
from preflight.chain import difference, history, source
from preflight.chain.difference import Lines, table
from preflight.chain.history import Stint
from preflight.chain.source import Proof, Source
from preflight.errors import Problem
from preflight.release import RENDERED
from preflight.report.escape import code, text
from preflight.report.numbers import count

CARD = "docs/model-card.md"
NONE = "-"


def audit(root: Path, version: str) -> str:
    """The page of a registry version, or release id.

    Raises NoData for one that no release record names, Problem for a shallow clone.
    """
    known = history.stints(root)
    own = history.of_version(known, version)
    made = source.of(root, own[0].release.commit)
    parts = (
        _title(own),
        _environments(own),
        _evidence(root, own),
        _contents(root, made),
        _changes(root, known, own, made),
        _again(root, own[0]),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _title(own: Sequence[Stint]) -> Lines:
    record = own[0].release
    model = record.model
    yield from (f"# {text(model.name)} {text(model.version)}", "")
    live = sorted({each.environment for each in history.live(own)})
    yield from table(
        ("what", "which"),
        [
            ("model", f"SHA-256 {code(model.hash)} of its manifest"),
            ("commit", code(record.commit)),
            ("pull request", f"{record.pull_request or NONE}"),
            ("Bento", code(record.bento)),
            ("image", code(record.image)),
            ("data and model", f"{record.artifacts} when the image was built"),
            ("log of the build", code(record.run or "none kept")),
            ("answers now in", ", ".join(live) or "no environment"),
        ],
    )


def _environments(own: Sequence[Stint]) -> Lines:
    yield from ("## Where it was", "")
    rows = [
        (
            each.environment,
            f"{_day(each.since)} to {_day(each.until)}",
            text(f"{each.release.who}, {_day(each.release.when)}"),
            _approval(each),
            _verdict(each),
            code(each.held[:12]),
        )
        for each in sorted(own, key=lambda one: one.since)
    ]
    names = (
        "environment",
        "served, UTC",
        "released by, UTC",
        "approved by",
        "rollout",
        "record at",
    )
    yield from table(names, rows)


def _day(at: datetime | None) -> str:
    return f"{history.utc(at):%Y-%m-%d %H:%M}" if at else "now"


def _approval(each: Stint) -> str:
    found = each.release.approval
    if found is None:
        return "no approval in its record"
    said = f"{found.who}, {_day(found.at)}, of {found.commit[:12]}, review {found.review}"
    return text(said)


def _verdict(each: Stint) -> str:
    if each.returned:
        why = each.brought.why or "no reason was kept"
        return text(f"none: brought back by a rollback of {each.brought.by}: {why}")
    ended = each.release.rollout
    return text(ended.verdict + (f": {ended.reason}" if ended.reason else ""))


def _evidence(root: Path, own: Sequence[Stint]) -> Lines:
    """Each set once, though staging and production have the same."""
    yield from ("## Evidence", "")
    for each in {one.release.evidence: one for one in own}.values():
        found = source.proof(root, each)
        where = code(f"git show {each.evidence[:12]}:{each.evidence.partition(':')[2]}")
        yield from (f"SHA-256 {code(each.release.evidence)}, at {where}.", "")
        if found.odd:
            yield from (f"**It does not fit: {text(found.odd)}.**", "")
        yield from _gates(found)


def _gates(found: Proof) -> Lines:
    if found.parts:
        yield from (f"Green are {found.green} of {count(len(found.parts), 'gate')}.", "")
    for part in found.parts or ():
        yield from (f"### {text(part.gate)}: {part.status}", "")
        rows = [
            (
                text(line.claim),
                line.status,
                text(line.found),
                text(line.limit) if line.limit else NONE,
            )
            for line in part.evidence
        ]
        yield from table(("claim", "status", "found", "limit"), rows)


def _contents(root: Path, made: Source) -> Lines:
    commit = made.commit
    yield from ("## What it was made of", "")
    yield from (f"Commit {code(commit.commit)}: {text(commit.subject)}", "")
    yield from (f"By {text(commit.author)}, {commit.at:%Y-%m-%d %H:%M} UTC.", "")
    if source.text(root, commit.commit, CARD) is None:
        yield from (f"No model card: {CARD} is not in that commit.", "")
    else:
        yield from (f"Model card: {code(f'git show {commit.commit[:12]}:{CARD}')}.", "")
    yield from (f"Months of data: {text(', '.join(made.months))}.", "")
    yield from (f"Digest of all data: SHA-256 {code(lineage.data_digest(made.data))}.", "")
    rows = [(code(path), code(md5)) for path, md5 in sorted(made.data.items())]
    yield from table(("data", "MD5"), rows)
    rows = [(code(path), code(digest)) for path, digest in made.locks.items()]
    yield from table(("environment's lock", "SHA-256"), rows)
    yield from _parameters(made)


def _parameters(made: Source) -> Lines:
    """Those that shape the model; the whole file is a command away."""
    where = code(f"git show {made.commit.commit[:12]}:params.yaml")
    yield from (f"Parameters that shape the model; all are in {where}:", "", "```yaml")
    chosen = {name: made.params[name] for name in made.shaping}
    words = yaml.safe_dump(chosen, sort_keys=False)
    yield from (*words.replace("```", "'''").splitlines(), "```", "")


def _changes(root: Path, known: Sequence[Stint], own: Sequence[Stint], made: Source) -> Lines:
    """Against what the last environment that it reached had before, as its record says."""
    newest = max(own, key=lambda each: each.since)
    before = newest.release.previous
    if before is None:
        yield from ("## What changed", "", f"It is the first release in {newest.environment}.", "")
        return
    names = (one.release.model.version for one in known if one.release.commit == before)
    name = next(names, None)
    yield from (
        f"## What changed since {f'version {text(name)}' if name else code(before[:12])}",
        "",
    )
    yield from (f"The release before it in {newest.environment}, of commit {code(before)}.", "")
    try:
        older = source.of(root, before)
    except Problem as problem:
        yield from (f"It cannot be compared: {text(str(problem))}", "")
        return
    yield from difference.told(difference.between(root, older, made))


def _again(root: Path, newest: Stint) -> Lines:
    record = newest.release
    yield from ("## How to run it again", "")
    place = RENDERED.format(environment=newest.environment)
    image = _image(source.text(root, newest.brought.commit, place) or "", record.image)
    yield from ("As it ran, by its digest:", "", "```sh", f"docker pull {image}", "```", "")
    yield from ("Made again from its commit:", "", "```sh")
    yield from (f"git checkout {record.commit}", "make setup", "make restore", "```", "")


def _image(rendered: str, digest: str) -> str:
    """The image's name as its environment's manifests had it."""
    words = (word for line in rendered.splitlines() for word in line.split())
    return next((word for word in words if word.endswith(f"@{digest}")), f"NAME@{digest}")
