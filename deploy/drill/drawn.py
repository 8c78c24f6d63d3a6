"""What the drill saw: its picture, its figures, and whether callers met what they should have."""

import csv
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from preflight.rehearsal import picture
from preflight.rehearsal.record import Event, Look, Rehearsal, Served

SAID = {"promote", "continue", "abort"}
place = Path(sys.argv[1])


def rows(name: str) -> list[list[str]]:
    """The rows of a CSV file without head."""
    with (place / name).open() as file:
        return list(csv.reader(file))


def met(start: float, end: float) -> tuple[int, int]:
    """Requests, and those that failed, between two times in seconds since 1970."""
    with (place / "answers.jsonl").open() as file:
        told = [each for each in map(json.loads, file) if start <= each["at"] < end]
    return len(told), sum(not 200 <= each["status"] < 300 for each in told)


def drawn(name: str, start: float, end: float, looks: list[list[str]]) -> Rehearsal:
    """A release's stretch of the drill, as a rehearsal's record."""
    seen = [each for each in looks if start <= float(each[0]) < end]
    events = [
        Event(at=float(now[0]) - start, kind="weight", said=f"{now[1]}%")
        for before, now in pairwise([["", "", "", ""], *seen])
        if before[1] != now[1]
    ]
    requests, failed = met(start, end)
    return Rehearsal(
        environment="drill",
        rollout="taxi",
        stable="stable",
        candidate=name,
        fault="errors" if name == "bad" else None,
        faulty="canary",
        state="aborted" if seen and seen[-1][2] == "aborted" else "promoted",
        reason="",
        seconds=end - start,
        whole=end - start,
        moved=None,
        faster=1.0,
        rate=requests / max(end - start, 1.0),
        served=Served(
            requests=requests,
            rate=requests / max(end - start, 1.0),
            failed=failed,
            unreached=0,
            canary=0,
            entities=0,
            left=0,
            p50_ms=0.0,
            p99_ms=0.0,
        ),
        looks=tuple(
            Look(at=float(each[0]) - start, weight=int(each[1] or 0), result=each[3], reason="")
            for each in seen
            if each[3] in SAID
        ),
        events=tuple(events),
    )


def stretches() -> Iterator[tuple[str, float, float]]:
    """Each release with its start and end; the first one is what was stable before."""
    looks = rows("timeline.csv")
    begun = [(name, float(at)) for at, name in rows("releases.csv")]
    for (name, start), (_, end) in pairwise([*begun, ("", float(looks[-1][0]) + 1)]):
        yield name, start, end


def main() -> int:
    """Write OUT/NAME.svg and OUT/drill.json; 1 where an honest release failed a caller."""
    looks, figures, wrong = rows("timeline.csv"), [], False
    for place_in, (name, start, end) in enumerate(stretches()):
        if place_in == 0:
            continue  # callers came after it
        found = drawn(name, start, end, looks)
        (place / f"{place_in}-{name}.svg").write_text(picture.svg(found), encoding="utf-8")
        figures.append({"release": name, "state": found.state} | found.served.model_dump())
        wrong |= not found.served.requests or (name != "bad" and found.served.failed > 0)
    text = json.dumps(figures, indent=1)
    (place / "drill.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return int(wrong)


sys.exit(main())
