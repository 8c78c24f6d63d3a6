"""Gate: the service under its expected load, against the champion's and absolute limits."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from preflight import bento, unregistered
from preflight.evidence import Evidence, Findings, Status, told
from preflight.gates.case import Case
from preflight.gates.limits import Load
from preflight.gates.load_test import generator, pressure, shown, traffic, validity
from preflight.gates.load_test.generator import Side, Window, mean_rate, of_side, pooled
from preflight.gates.load_test.margins import HOLDS, Ratios, fewer, needed, paired, slower
from preflight.gates.ratios import LEAST, Ratio
from preflight.layout import STATE

GATE = "load"


def judge(case: Case) -> Findings:
    """Load both sides' services in turn and compare; what runs the champion's bytes was judged."""
    if case.runs_alike:
        return Findings(evidence=(case.alike(GATE),))
    limits = case.limits.load
    count = round(limits.min_rate * generator.WINDOW_SECONDS)
    days = [
        traffic.day(case.newest, case.contract, count, seed)
        for seed in range(1, limits.min_windows + 1)
    ]
    folders: dict[Side, tuple[Path, Path]] = {}
    rival = unregistered.rival(case.root, case.champion)
    if rival is not None and case.champion.root is not None:
        folders["champion"] = (case.champion.root, rival)
    folders["candidate"] = (case.root, unregistered.candidate(case.root))
    with ExitStack() as stack:
        servers = {
            side: stack.enter_context(bento.served(root, folder, root / STATE / f"load-{side}"))
            for side, (root, folder) in folders.items()
        }
        windows = generator.run(servers, days, limits.min_users)
    return findings(windows, limits)


def findings(windows: Sequence[Window], limits: Load) -> Findings:
    """What the windows say; the champion's are missing where there is none."""
    kept = [each for each in windows if each.phase == "normal"]
    door = validity.at_the_door([each for each in windows if each.phase != "step"])
    busy = validity.generator(kept)
    doubt, ratios = door or _cut(kept, limits) or busy, paired(kept)
    return Findings(
        evidence=(
            _failures(windows, limits),
            _told("door", "No request is refused at the door.", door, "every request got in"),
            _told("generator", "The generator keeps up.", busy, validity.pace(kept)),
            *(_latency(name, ratios, kept, limits, doubt) for name in ("p50", "p95", "p99")),
            _rate(ratios, kept, limits, doubt),
            *_absolute(of_side(kept, "candidate"), limits, doubt),
            pressure.knee(windows, limits, door),
            pressure.recovery(windows, limits, doubt),
            pressure.memory(windows, limits, door),
        ),
        headlines=() if doubt else shown.headlines(ratios, kept),
        tables=(shown.latencies(kept), shown.machine(windows)),
        charts=shown.charts(windows),
    )


def _cut(kept: Sequence[Window], limits: Load) -> str:
    """In words, that the run ended before its windows did; empty when it did not."""
    fewest = min((len(of_side(kept, side)) for side in {each.side for each in kept}), default=0)
    planned = limits.min_windows
    return f"cut short: {fewest} of {planned} windows" if fewest < planned else ""


def _told(check: str, claim: str, doubt: str, fine: str) -> Evidence:
    return told(GATE, check, claim, None if doubt else True, doubt or fine)


def _failures(windows: Sequence[Window], limits: Load) -> Evidence:
    """Answers at normal load that got in and were not what the contract says."""
    own = [each for each in windows if each.side == "candidate" and each.phase != "step"]
    counts = Counter[str]()
    for each in own:
        counts.update(each.failed)
    sent = sum(each.requests for each in own)
    share = counts.total() / sent if sent else None
    claim = "Requests are answered as the contract says, malformed ones with 422."
    listed = ", ".join(f"{name} x {count}" for name, count in counts.most_common(6))
    found = f"{counts.total()} of {sent:,} otherwise" + (f": {listed}" if listed else "")
    holds = None if share is None else share <= limits.max_failures
    limit = f"<= {limits.max_failures:.2%}"
    return told(GATE, "failures", claim, holds, found, measured=share, limit=limit, n=sent)


def _latency(
    name: str, ratios: Ratios | None, windows: Sequence[Window], limits: Load, doubt: str
) -> Evidence:
    most = limits.max_p99_ratio if name == "p99" else limits.max_latency_ratio
    claim = f"At the expected load {name} is at most {most:g} times the champion's."
    ours = pooled(of_side(windows, "candidate"), int(name[1:]))
    if doubt or ratios is None:
        return _without(f"latency-{name}", claim, doubt, f"{ours:.1f} ms")
    if (found := ratios[name]) is None:
        return told(GATE, f"latency-{name}", claim, None, f"fewer than {LEAST} pairs of windows")
    theirs = pooled(of_side(windows, "champion"), int(name[1:]))
    status = slower(found, most, limits.max_noise_ratio)
    said = f"{ours:.1f} ms against {theirs:.1f} ms"
    if status == "no-data":
        said += needed(found, most, "windows")
    return _compared(f"latency-{name}", claim, status, said, found, f"<= {most:g} x")


def _rate(ratios: Ratios | None, windows: Sequence[Window], limits: Load, doubt: str) -> Evidence:
    least = limits.min_rate_ratio
    claim = f"At least {least:g} times the champion's requests a second are answered."
    ours = mean_rate(of_side(windows, "candidate"))
    if doubt or ratios is None:
        return _without("rate", claim, doubt, f"{ours:.0f} a second")
    if (found := ratios["rate"]) is None:
        return told(GATE, "rate", claim, None, f"fewer than {LEAST} pairs of windows")
    status = fewer(found, least, limits.max_noise_ratio)
    said = f"{ours:.0f} a second against {mean_rate(of_side(windows, 'champion')):.0f}"
    if status == "no-data":
        said += needed(found, least, "windows")
    return _compared("rate", claim, status, said, found, f">= {least:g} x")


def _compared(
    check: str, claim: str, status: Status, said: str, found: Ratio, limit: str
) -> Evidence:
    figures = {"measured": found.value, "interval": found.ends, "limit": limit, "n": found.sets}
    return told(GATE, check, claim, HOLDS[status], said, **figures)


def _without(check: str, claim: str, doubt: str, ours: str) -> Evidence:
    """A comparison that was not made: in doubt no data, without a champion nothing to judge."""
    found = doubt or f"{ours}; there is no champion to compare with"
    return told(GATE, check, claim, None if doubt else True, found)


def _absolute(own: Sequence[Window], limits: Load, doubt: str) -> list[Evidence]:
    times = np.array([value for each in own for value in each.latencies])
    mean = float(times.mean()) if len(times) else None
    slow = float((times > limits.max_slow_ms).mean()) if len(times) else None
    held = doubt or ("" if len(times) else "no answers")
    most, long = limits.max_mean_ms, limits.max_slow_ms
    claims = (
        f"Answers take at most {most:g} ms on average.",
        f"At most {limits.max_slow:.0%} of answers take longer than {long:g} ms.",
    )
    lines = (
        ("mean", claims[0], mean, most, f"{mean or 0:.1f} ms", f"<= {most:g} ms"),
        ("slow", claims[1], slow, limits.max_slow, f"{slow or 0:.2%}", f"<= {limits.max_slow:.0%}"),
    )
    return [
        told(GATE, check, claim, None, held)
        if held or value is None
        else told(GATE, check, claim, value <= top, said, measured=value, limit=limit, n=len(times))
        for check, claim, value, top, said, limit in lines
    ]
