"""The limits of the gates: section `gates` of params.yaml, typed, with the risk tier's on top.

A number named max_… is looser when larger, one named min_… when smaller; the policy gate
holds every change to that. Each gate reads the merge base's values, not the change's own; a tier
makes them stricter, that of the change as well as that of the base.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import to_json

from preflight import params, risk
from preflight.gates import tiers
from preflight.metrics import Floors
from preflight.params import Section, Share

Positive = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(ge=1)]
WINDOW = r"^[a-z0-9][a-z0-9-]{0,24}$"  # its checks are named after it


class Data(Section):
    """Training data against the champion's; shifts are Kolmogorov-Smirnov or total variation."""

    max_months_older: Annotated[int, Field(ge=0)]
    min_month_rows: Share
    max_month_rows: Ratio
    max_same_month_shift: Share
    max_slice_share: Share
    max_label_shift: Share
    max_feature_shift: Share


class Quality(Floors):
    """Floors, ratios to the champion whose interval must end below them, and the joint score.

    `max_joint_flags` is the share of honest rows that it flags, `min_odd_flagged` of odd ones.
    """

    max_rmse_ratio: Ratio
    max_mae_ratio: Ratio
    max_out_of_range: Share
    max_metrics_gap: Share
    max_joint_flags: Share
    min_odd_flagged: Share
    min_rows: Annotated[int, Field(ge=1)]


class Declaration(Section):
    """An intended change of behaviour, against one champion and no other."""

    champion: Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]
    reason: Annotated[str, Field(min_length=20, max_length=300)]
    scope: Annotated[tuple[str, ...], Field(min_length=1)]
    size: Positive


class Differential(Section):
    """Minutes that predictions may move, beyond the noise of training again.

    `windows` names stretches of production traffic that are judged like held-out rows.
    """

    min_refits: Annotated[int, Field(ge=3)]
    max_noise: Positive
    max_mean_shift: Positive
    max_slice_shift: Positive
    max_row_shift: Positive
    max_moved_ratio: Ratio
    max_moved_rows: Share
    max_data_mean_shift: Positive
    max_data_slice_shift: Positive
    max_unjudged_rows: Annotated[int, Field(ge=1)]
    max_unjudged_share: Share
    windows: tuple[Annotated[str, Field(pattern=WINDOW)], ...]
    expected: tuple[Declaration, ...]


class Slices(Section):
    """What holds in every slice with enough rows; `fairness` names slices whose gaps count."""

    max_unjudged_rows: Annotated[int, Field(ge=1)]
    max_rmse_ratio: Ratio
    max_bias: Positive
    max_bias_growth: Annotated[float, Field(ge=0)]
    min_coverage: Share
    fairness: tuple[str, ...]
    max_fairness_gap: Positive


class Stability(Section):
    """Small changes of an input, in the target's unit; `monotone` names directions that hold."""

    max_mean_change: Positive
    max_jump: Positive
    max_jump_rows: Share
    monotone: dict[str, Literal["increasing", "decreasing"]]
    max_reversal: Annotated[float, Field(ge=0)]
    max_reversed: Share


class Leakage(Section):
    """What a training row may give away of a test row or of the target."""

    max_overlap: Share
    max_near_duplicates: Share
    max_alone: Share
    max_missingness: Share


class Parity(Section):
    """Answers of one model on its several ways to a caller; `max_gap` in the target's unit."""

    max_gap: Annotated[float, Field(ge=0)]


class Build(Section):
    """Size against the champion's, and growth of feature code over four times the rows."""

    max_size_ratio: Ratio
    max_trees_ratio: Ratio
    max_memory_ratio: Ratio
    max_growth: Ratio


class Benchmark(Section):
    """Ratios to the champion's times, and how many sets of fresh processes are measured.

    Training and batches grow with the model, so they have a limit of their own.
    """

    max_ratio: Ratio
    max_work_ratio: Ratio
    max_start_ratio: Ratio
    min_sets: Annotated[int, Field(ge=3)]


class Load(Section):
    """The service under its expected load: ratios to the champion's, and absolute limits.

    `min_users` callers ask `min_rate` requests a second, in `min_windows` windows a side. Times
    in milliseconds, memory in bytes a request.
    """

    min_users: Annotated[int, Field(ge=1)]
    min_rate: Positive
    min_windows: Annotated[int, Field(ge=3)]
    max_failures: Share
    max_latency_ratio: Ratio
    max_p99_ratio: Ratio
    max_noise_ratio: Ratio
    min_rate_ratio: Share
    max_mean_ms: Positive
    max_slow_ms: Positive
    max_slow: Share
    min_knee_ratio: Share
    max_recovery_ratio: Ratio
    max_growth: Positive


class Policy(Section):
    """How long a waiver may hold."""

    max_waiver_days: Annotated[int, Field(ge=1)]


class Coverage(Section):
    """Share of a change's lines that tests run."""

    min_changed_lines: Share


class Gates(Section):
    """All limits, a section a gate."""

    data: Data
    quality: Quality
    differential: Differential
    slices: Slices
    stability: Stability
    leakage: Leakage
    parity: Parity
    build: Build
    benchmark: Benchmark
    load: Load
    policy: Policy
    coverage: Coverage


class _Whole(Section):
    gates: Gates


def load(path: Path) -> Gates:
    """The limits of one params.yaml; raises Problem that names the first offending key."""
    return parse(params.read(path), str(path))


def parse(raw: dict[str, Any], where: str) -> Gates:
    """Plain parameters to limits, the risk tier's laid over them where there is one.

    `where` names the file in errors. Raises Problem for a tier's limit that is looser, or none.
    """
    found = _typed(raw.get("gates", {}), where)
    if "risk" not in raw:
        return found
    declared = risk.parse(raw, where)
    kept: dict[str, Gates] = {}
    sections = found.model_dump(mode="json")
    for name, asked in declared.tiers:
        place = f"{where}: risk.tiers.{name}.limits"
        sections = tiers.laid(sections, asked.limits, place)
        kept[name] = _typed(sections, place)
    return kept[declared.tier]


def _typed(gates: Any, where: str) -> Gates:
    try:
        return _Whole.model_validate_json(to_json({"gates": gates})).gates
    except ValidationError as error:
        raise params.problem(where, error, _Whole) from None


def of_base(base: dict[str, Any], head: dict[str, Any]) -> tuple[Gates, list[str]]:
    """The merge base's limits with the head's declarations, and the keys only the head has.

    A key that the head took out stands as the base has it; one that these gates do not know is
    left out. Windows of either are judged. The tier's limits of both are laid on top where they
    are stricter: a change that raises the tier is judged by the higher one already.
    """
    then, now = (_sections(raw) for raw in (base, head))
    kept: dict[str, Any] = {}
    borrowed: list[str] = []
    for name, field in Gates.model_fields.items():
        keys = getattr(field.annotation, "model_fields", {})
        laid = {**now.get(name, {}), **then.get(name, {})}
        kept[name] = {key: value for key, value in laid.items() if key in keys}
        borrowed += [f"gates.{name}.{key}" for key in kept[name] if key not in then.get(name, {})]
    ours, theirs = (side.get("differential", {}) for side in (now, then))
    kept["differential"]["expected"] = ours.get("expected", [])
    kept["differential"] |= _windows(theirs, ours)
    for bounds in (*risk.bounds(base), *risk.bounds(head)):
        kept = tiers.tightened(kept, bounds)
    return parse({"gates": kept}, "params.yaml"), borrowed


def _windows(base: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    """The windows of both, each once; `parse` names what is no list."""
    found = [side["windows"] for side in (base, head) if "windows" in side]
    if not found or not all(isinstance(each, list) for each in found):
        return {}
    first, *others = found
    added = [name for each in others for name in each if name not in first]
    return {"windows": [*first, *added]}


def _sections(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections under `gates` that are sections; `parse` names what is missing then."""
    found = raw.get("gates")
    found = found if isinstance(found, dict) else {}
    return {name: keys for name, keys in found.items() if isinstance(keys, dict)}
