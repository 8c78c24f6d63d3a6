"""The `rollout` section of params.yaml: what is worse, and how sure the judge must be."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import to_json

from preflight import params
from preflight.params import Positive, Section, Share

Level = Annotated[float, Field(gt=0, le=0.2)]


class Worse(Section):
    """What is worse: the larger of a ratio to stable's share and an amount on top of it."""

    max_ratio: Annotated[float, Field(gt=1.05, le=20)]
    max_amount: Annotated[float, Field(gt=0, lt=1)]


class Shares(Section):
    """Shares of requests: each may abort a rollout, and all but `wrong` must hold to promote it.

    `errors` are 5xx answers of the arm, `slow` those after more than
    `max_seconds`, `unreached` those that
    the proxy gave for it, `lost` requests that the arm did not count; `fallbacks` and `flags`
    are of predictions, `wrong` of labelled ones: further than `max_error` from what happened.
    """

    errors: Worse
    slow: Worse
    unreached: Worse
    lost: Worse
    fallbacks: Worse
    flags: Worse
    wrong: Worse


class Limits(Section):
    """How sure the judge must be, what is worse, and what stops a rollout at once; docs/judge.md.

    `max_error` is in the target's unit. `max_first_weight` and `min_rate`, in requests a second,
    are for plans: how many the first step may reach, and with how many the steps must decide.
    """

    max_false_abort: Level
    max_false_promotion: Level
    max_worse: Shares
    max_error: Positive
    max_paired: Annotated[float, Field(gt=0, lt=1)]
    max_shift: Annotated[float, Field(gt=0, lt=0.5)]
    max_width_ratio: Annotated[float, Field(gt=1)]
    max_seconds: Positive
    max_clumped: Annotated[int, Field(ge=1, le=31)]
    max_traffic_ratio: Annotated[float, Field(ge=1)]
    min_requests: Annotated[int, Field(ge=1)]
    min_seen: Share
    max_restarts: Annotated[int, Field(ge=0)]
    max_memory_bytes: Positive
    max_stale_seconds: Positive
    max_first_weight: Share
    min_rate: Positive

    @property
    def tests(self) -> int:
        """Metrics that may each abort: their error rates add up to `max_false_abort`."""
        return len(type(self.max_worse).model_fields) + 2  # widths and predictions


class _Whole(Section):
    rollout: Limits


def load(path: Path = Path("params.yaml")) -> Limits:
    """The limits of one params.yaml; raises Problem that names the first offending key."""
    return parse(params.read(path), str(path))


def parse(raw: dict[str, Any], where: str) -> Limits:
    """Plain parameters to limits; `where` names the file in errors."""
    try:
        return _Whole.model_validate_json(to_json({"rollout": raw.get("rollout", {})})).rollout
    except ValidationError as error:
        raise params.problem(where, error, _Whole) from None
