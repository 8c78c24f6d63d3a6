"""What the files say in the model card: format, times, figures, tier, and how it was made."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from preflight import lineage, params
from preflight.contract import Contract
from preflight.errors import NoData
from preflight.gates.limits import Load
from preflight.layout import METRICS
from preflight.params import Params
from preflight.risk import Asked, Risk

SURE = 1.96  # standard errors: 95%


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Rows as a Markdown table."""
    cells = [[each.replace("|", "\\|") for each in row] for row in rows]
    lines = [list(head), *cells]
    made = ["| " + " | ".join(each) + " |" for each in lines]
    return "\n".join([made[0], "|" + "---|" * len(lines[0]), *made[1:]])


def columns(contract: Contract) -> str:
    """What a request holds, and what the answer is, with ranges and units."""
    from preflight.serving.requests import expectation

    known = [(f"`{each.name}`", each.description, expectation(each)) for each in contract.known]
    target = contract.target
    answer = (f"answer: `{target.name}`", target.description, expectation(target))
    rest = (
        "Values that training has not seen are flagged beside the answer, or refused. All columns: "
        "[data](data.md). The whole answer: [serving](serving.md)."
    )
    return table(("column", "what", "values"), [*known, answer]) + f"\n\n{rest}"


def speed(load: Load) -> str:
    """What an answer may take, in milliseconds, and where it was measured."""
    return (
        f"Under {load.min_users} callers who make {load.min_rate:g} requests a second, an answer "
        f"may take {load.max_mean_ms:g} ms in the mean, and {load.max_slow:.0%} of them more than "
        f"{load.max_slow_ms:g} ms. What was measured: of the service "
        "[here](serving.md#why-it-is-fast), of a release by `preflight card production`."
    )


def slices(root: Path, contract: Contract) -> str:
    """Errors of all held-out rows and of each slice; raises NoData before the evaluation."""
    found = _metrics(root)
    sliced = [
        (f"{name} {label}", figures)
        for name, labels in found["slices"].items()
        for label, figures in labels.items()
    ]
    rows = [_row(name, figures) for name, figures in (("all", found["test"]), *sliced)]
    whole, unit = found["test"], contract.target.unit or "unit"
    held = "held by intervals"
    head = ("held-out rows", "rows", "RMSE", "MAE", "bias", held, "RMSE to baseline's")
    return (
        f"{table(head, rows)}\n\n"
        f"Errors in {unit}s, in brackets 95% intervals, from the rows' number and spread; of all "
        f"rows' RMSE {whole['rmse_low']:.2f} to {whole['rmse_high']:.2f}, by resampling. A "
        "release's card has the slices' intervals against the champion."
    )


def _metrics(root: Path) -> dict[str, Any]:
    if not (root / METRICS).is_file():
        raise NoData(str(METRICS), "no file", "the model's evaluation", "Run `make restore`.")
    found: dict[str, Any] = json.loads((root / METRICS).read_text(encoding="utf-8"))
    return found


def _row(name: str, figures: dict[str, float]) -> tuple[str, ...]:
    """Intervals of means: of |error| its variance is RMSE² - MAE², of the error RMSE² - bias²."""
    rows, rmse, held = figures["rows"], figures["rmse"], figures.get("coverage")
    cells = [name, f"{rows:,.0f}", f"{rmse:.2f}"]
    for mean in (figures["mae"], figures["bias"]):
        half = SURE * math.sqrt(max(rmse**2 - mean**2, 0.0) / rows)
        cells.append(f"{mean:.2f} ({mean - half:.2f} to {mean + half:.2f})")
    cells.append("-" if held is None else _share(held, rows))
    return (*cells, f"{figures['baseline_ratio']:.2f}")


def _share(held: float, rows: float) -> str:
    half = SURE * math.sqrt(held * (1 - held) / rows)
    return f"{held:.1%} ({held - half:.1%} to {held + half:.1%})"


def tier(found: Risk, own: str) -> str:
    """The tier in force, why, and what each asks for; `own` is the model's name."""
    tiers = dict(found.tiers)
    heads = [f"**{name}**, in force" if name == found.tier else name for name in tiers]
    low, high = (list(_asked(each)) for each in tiers.values())
    columns = [(what, less, more) for (what, less), (_, more) in zip(low, high, strict=True)]
    scores = found.amplifiers.model_dump().items()
    amplified = ", ".join(f"{name.replace('_', ' ')} {score}" for name, score in scores)
    above = ", ".join(found.upstream.get(own, ())) or "none"
    below = ", ".join(name for name, each in found.upstream.items() if own in each) or "none"
    return (
        f"Tier {found.tier}. What makes a mistake larger, from 0 to 2: {amplified}; with more than "
        f"{found.max_amplifiers} together tier low is refused. Models whose answers it takes: "
        f"{above}; that take its own: {below}.\n\n{table(('of a release', *heads), columns)}"
    )


def _asked(each: Asked) -> Iterator[tuple[str, str]]:
    """A column of the table of tiers."""
    yield "approvals by others than the author", str(each.approvals)
    yield "explanations", "stored with each answer" if each.explain else "worked out when asked"
    yield "pauses of the canary, at least", f"{each.min_canary_minutes:g} minutes"
    yield "predictions are kept, at least", f"{each.retention_days} days"
    bounds = params.flat(each.limits)
    yield "gates", ", ".join(f"`{key}: {value}`" for key, value in bounds.items()) or "as declared"


def made(root: Path, known: Params, contract: Contract) -> str:
    """Months, data by its hash, contract and the model's parameters."""
    tests = known.split.test_months
    own = known.model.model_dump()
    plain = {key: each for key, each in own.items() if not isinstance(each, list | tuple)}
    listed = [(key, ", ".join(map(str, own[key]))) for key in own.keys() - plain.keys()]
    rows = [
        ("learned and calibrated on", ", ".join(known.data.months[:-tests])),
        ("held out", ", ".join(known.data.months[-tests:])),
        ("source of the rows", f"`{known.data.source}`, {known.data.sample:.0%} of them"),
        ("hash of the data", f"`{lineage.data_digest(lineage.data_hashes(root))}`"),
        ("contract", f"{contract.name} {contract.version}, `{contract.hash}`"),
        *sorted(listed),
        ("parameters", ", ".join(f"`{key}: {value}`" for key, value in plain.items())),
    ]
    return f"{table(('what', 'value'), rows)}\n\nEvery setting: [params](params.md)."
