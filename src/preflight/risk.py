"""The risk tier: section `risk` of params.yaml, and all that a tier asks of a release.

A larger amplifier, and each column of the table when larger, is stricter. What `log.explain`
says may be more than the tier asks for, and never less.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError
from pydantic_core import to_json

from preflight import params
from preflight.errors import Problem
from preflight.params import Section

Name = Literal["low", "high"]
NAMES: tuple[Name, ...] = get_args(Name)
Score = Annotated[int, Field(ge=0, le=2)]  # little, some, much
Model = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Bounds = dict[str, dict[str, int | float]]  # by gate and key
REMEDY = "Mend it; docs/model-card.md says what the tiers ask for."


class Amplifiers(Section):
    """What makes a mistake larger than itself: 0 little, 1 some, 2 much.

    Many users or decisions, releases in quick succession, models that act on each other's answers.
    """

    broad_use: Score
    rapid_change: Score
    interactions: Score

    @property
    def total(self) -> int:
        """Their sum, 0 to 6."""
        return self.broad_use + self.rapid_change + self.interactions


class Asked(Section):
    """What a tier asks for.

    `approvals` of a release by others than its author; `explain`: whether each answer's explanation
    is stored with it, else it is worked out when asked; the canary's pauses last at least
    `min_canary_minutes` together; predictions are kept `retention_days` at least; `limits` are laid
    over those of `gates`, those of high over those of low too, and none is looser.
    """

    approvals: Annotated[int, Field(ge=0)]
    explain: bool
    min_canary_minutes: Annotated[float, Field(ge=0)]
    retention_days: Annotated[int, Field(ge=1)]
    limits: Bounds


class Tier(Asked):
    """The tier that holds, with its name."""

    name: Name


class Tiers(Section):
    """The table: what each tier asks for."""

    low: Asked
    high: Asked


class Risk(Section):
    """How much harm the model can do, and what each tier asks for.

    Amplifiers that add up to more than `max_amplifiers` raise the tier: low is refused then.
    `upstream` names, for each model, those whose answers it takes; a chain of them has at most
    `max_chain` models, and no circle.
    """

    tier: Name
    max_amplifiers: Annotated[int, Field(ge=0, le=6)]
    amplifiers: Amplifiers
    upstream: dict[Model, tuple[Model, ...]]
    max_chain: Annotated[int, Field(ge=1)]
    tiers: Tiers

    @property
    def asked(self) -> Tier:
        """What the tier in force asks for."""
        return Tier(name=self.tier, **getattr(self.tiers, self.tier).model_dump())


class _Whole(Section):
    risk: Risk


def of(root: Path) -> Tier:
    """What a checkout's tier asks of a release; raises Problem, as `load` does."""
    return load(root / "params.yaml").asked


def load(path: Path) -> Risk:
    """The section `risk` of one params.yaml; raises Problem that names the key that is wrong."""
    return parse(params.read(path), str(path))


def parse(raw: Mapping[str, Any], where: str) -> Risk:
    """Plain parameters to the section `risk`; `where` names the file in errors.

    Raises Problem for a tier that the amplifiers refuse, a table in which high asks for less than
    low, a circle or a long chain of models, a model of this tree that `upstream` does not name,
    and a log that stores less than the tier asks for.
    """
    plain = {"risk": raw["risk"]} if "risk" in raw else {}
    try:
        found = _Whole.model_validate_json(to_json(plain)).risk
    except ValidationError as error:
        raise params.problem(where, error, _Whole) from None
    own = _at(raw, "registry", "name")
    wrong = (*_amplified(found), *_table(found), *_chains(found), *_unnamed(found, own))
    for key, said, expected in wrong:
        raise Problem(f"{where}: risk.{key}", said, expected, REMEDY)
    if found.asked.explain and _at(raw, "log", "explain") is False:
        expected = f"true, as tier {found.tier} stores each answer's explanation"
        raise Problem(f"{where}: log.explain", "false", expected, REMEDY)
    return found


def bounds(raw: Mapping[str, Any]) -> Iterator[Bounds]:
    """The limits of each tier up to the one in force, low before high.

    From plain parameters that may be of another age: what is no limit by gate is left out.
    """
    tier = _at(raw, "risk", "tier")
    for name in NAMES[: NAMES.index(tier) + 1] if tier in NAMES else ():
        found = _at(raw, "risk", "tiers", name, "limits")
        sections = found.items() if isinstance(found, dict) else ()
        yield {gate: keys for gate, keys in sections if isinstance(keys, dict)}


Wrong = Iterator[tuple[str, str, str]]  # a key, what was found, and what was expected


def _amplified(risk: Risk) -> Wrong:
    total = risk.amplifiers.total
    if risk.tier == "low" and total > risk.max_amplifiers:
        yield "tier", "low", f"high: amplifiers add up to {total}, over {risk.max_amplifiers}"


def _table(risk: Risk) -> Wrong:
    """High asks for no less than low; `gates.limits` compares the limits."""
    low, high = risk.tiers.low, risk.tiers.high
    for key in Asked.model_fields:
        below, above = getattr(low, key), getattr(high, key)
        if key != "limits" and above < below:
            yield f"tiers.high.{key}", str(above).lower(), f"tier low's {below}, or more"


def _chains(risk: Risk) -> Wrong:
    for name in risk.upstream:
        chain = _longest(risk.upstream, (name,))
        said = " <- ".join(chain)
        if len(set(chain)) < len(chain):
            yield "upstream", f"a circle, {said}", "models that do not feed themselves"
        elif len(chain) > risk.max_chain:
            yield "upstream", said, f"at most {risk.max_chain} models in a chain"


def _unnamed(risk: Risk, own: Any) -> Wrong:
    """Whoever renames the model says again whose answers it takes."""
    if isinstance(own, str) and own not in risk.upstream:
        named = ", ".join(risk.upstream) or "no model"
        yield "upstream", named, f"registry.name, {own}, and whose answers it takes, or []"


def _longest(upstream: Mapping[str, tuple[str, ...]], chain: tuple[str, ...]) -> tuple[str, ...]:
    """The longest way up from a chain's last model, which ends where it meets itself."""
    if chain[-1] in chain[:-1]:
        return chain
    ways = [_longest(upstream, (*chain, each)) for each in upstream.get(chain[-1], ())]
    circles = [way for way in ways if len(set(way)) < len(way)]
    return max(circles or ways, key=len, default=chain)


def _at(raw: Any, *keys: Any) -> Any:
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) and isinstance(key, str) else None
    return raw
