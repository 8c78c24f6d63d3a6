"""What the judge says of a metric, in a sentence for an operator at night."""

from preflight.rollout.limits import Limits
from preflight.rollout.metrics import Tested

CLUMPED = 1.5  # dispersion, above which it is told
# Of each metric: what a share is of, and what it says.
SHARES = {
    "errors": ("requests", "were answered with an error"),
    "slow": ("requests", "took longer than {limits.max_seconds:g} s"),
    "fallbacks": ("predictions", "were the baseline's"),
    "flags": ("predictions", "were flagged by a guard"),
    "unreached": ("requests", "got no answer from the arm"),
    "lost": ("requests", "are in one's count and not in the other's, of proxy and arm"),
    "wrong": ("labelled predictions", "were wrong by more than {limits.max_error:g}"),
}


def said(found: Tested, state: str, more: int | None, limits: Limits) -> str:
    """The figures, what they mean, and what is to come."""
    return f"{_figures(found, limits)}: {_meaning(found, state, more, limits)}."


def _figures(found: Tested, limits: Limits) -> str:
    if found.name == "predictions":
        return (
            f"At the bin's edge where they differ most, canary and stable differ in "
            f"{abs(found.ratio or 0):.1%} of predictions"
        )
    if found.name == "widths":
        return f"The canary's intervals are {found.canary:.2f} wide, stable's {found.stable:.2f}"
    if found.name not in SHARES or found.canary is None or found.stable is None:
        return f"{found.name}: one of the arms has no requests that count"
    of, what = SHARES[found.name]
    return (
        f"{found.canary:.2%} of the canary's {of} and {found.stable:.2%} of stable's "
        f"{what.format(limits=limits)}"
    )


def _meaning(found: Tested, state: str, more: int | None, limits: Limits) -> str:
    if state == "worse":
        return f"the canary is worse{_clumps(found)}"
    if state == "fine":
        return f"not worse by the margin, {_margin(found.name, limits)}{_clumps(found)}"
    if found.few is not None:
        place = "looks" if found.name in ("unreached", "lost") else "entity buckets"
        return (
            f"higher, but in {found.few} {place} only, and more than {limits.max_clumped} abort: "
            "look whose requests these are"
        )
    if more is None:
        return f"it cannot be told yet how long this takes to decide{_clumps(found)}"
    return f"roughly {more:,} more requests of the canary will tell{_clumps(found)}"


def _clumps(found: Tested) -> str:
    if found.dispersion is None or found.dispersion < CLUMPED:
        return ""
    return f" (they come in clumps, each counted as {1 / found.dispersion:.2g} of one)"


def _margin(name: str, limits: Limits) -> str:
    if name == "predictions":
        return f"{limits.max_shift:.0%} of predictions"
    if name == "widths":
        return f"{limits.max_width_ratio:g} times stable's width"
    margin = getattr(limits.max_worse, name)
    return f"the larger of {margin.max_ratio:g} times stable's and {margin.max_amount:.1%} more"
