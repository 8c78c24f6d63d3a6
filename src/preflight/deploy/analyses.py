"""AnalysisTemplate, typed: what Argo Rollouts asks, how often, and what it makes of the answers."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from preflight.deploy.fields import Argument, Count, Known, Metadata, Time, typed
from preflight.deploy.manifests import Manifests


class Web(Known):
    """A question over HTTP; what `json_path` finds is `result` in the conditions."""

    url: str
    json_path: str
    timeout_seconds: Count = 10
    method: Literal["GET"] = "GET"
    headers: tuple[Mapping[Literal["key", "value"], str], ...] = ()


class Provider(Known):
    """Who is asked: ours by `web`, since a job cannot say "not yet"."""

    web: Web


class Measure(Known):
    """One metric of an analysis."""

    name: str
    provider: Provider
    interval: Time | None = None
    initial_delay: Time | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    failure_limit: Count = 0
    inconclusive_limit: Count = 0
    consecutive_success_limit: Count | None = None
    consecutive_error_limit: Count = 4
    success_condition: str = ""
    failure_condition: str = ""

    @model_validator(mode="after")
    def _repeated(self) -> "Measure":
        if self.interval is None and self.count != 1:
            raise ValueError("an interval, or count 1")
        return self


class Measures(Known):
    """What an AnalysisTemplate measures, by which arguments."""

    metrics: Annotated[tuple[Measure, ...], Field(min_length=1)]
    args: tuple[Argument, ...] = ()


class AnalysisTemplate(Known):
    """argoproj.io/v1alpha1 AnalysisTemplate."""

    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["AnalysisTemplate"]
    metadata: Metadata
    spec: Measures


def templates(manifests: Manifests) -> dict[str, AnalysisTemplate]:
    """Every AnalysisTemplate by its name; raises Problem as `rollout` does."""
    found = (
        typed(AnalysisTemplate, each, manifests.where) for each in manifests.all("AnalysisTemplate")
    )
    return {each.metadata.name: each for each in found}
