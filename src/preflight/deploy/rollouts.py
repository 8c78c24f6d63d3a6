"""Rollout, typed: the fields of Argo Rollouts that we use, and no other.

Names are those of https://argo-rollouts.readthedocs.io/en/stable/features/specification/. What the
controller would drop without a word is refused here by its name.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from preflight.deploy.fields import Argument, Count, Known, Metadata, Weight, typed
from preflight.deploy.manifests import Manifests

Duration = Annotated[str, Field(pattern=r"^(\d+|(\d+(\.\d+)?(ms|s|m|h))+)$")]
Plain = Mapping[str, Any]


class Template(Known):
    """Which AnalysisTemplate of its own namespace a run is made of."""

    template_name: str


class Run(Known):
    """An inline analysis: the rollout waits for it."""

    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    args: tuple[Argument, ...] = ()


class Background(Run):
    """An analysis beside the steps, from `starting_step` on."""

    starting_step: Count = 0


class Paused(Known):
    """A pause: of seconds or a duration, without one until somebody resumes."""

    duration: Duration | Count | None = None


class Scale(Known):
    """How many pods the canary has, whatever its weight."""

    weight: Weight | None = None
    replicas: Count | None = None
    match_traffic_weight: bool | None = None


class Routed(Known):
    """A managed route by headers, or a mirror."""

    name: str
    match: tuple[Plain, ...] = ()
    percentage: Weight | None = None


class Step(Known):
    """One step, which does one thing."""

    set_weight: Weight | None = None
    pause: Paused | None = None
    analysis: Run | None = None
    set_canary_scale: Scale | None = None
    set_header_route: Routed | None = None
    set_mirror_route: Routed | None = None

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            raise ValueError("one thing in each step")
        return self


class Gateway(Known):
    """What the Gateway API plugin is told; without a namespace it takes the Rollout's."""

    http_route: str
    namespace: str | None = None


class Plugins(Known):
    """Traffic routers; ours is the Gateway API's."""

    gateway: Gateway = Field(alias="argoproj-labs/gatewayAPI")


class Routing(Known):
    """What moves traffic."""

    plugins: Plugins
    managed_routes: tuple[Mapping[Literal["name"], str], ...] = ()


class Canary(Known):
    """Strategy canary."""

    stable_service: str
    canary_service: str
    traffic_routing: Routing
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    analysis: Background | None = None
    max_unavailable: Count | str = "25%"
    max_surge: Count | str = "25%"
    min_pods_per_replica_set: Count = 1
    dynamic_stable_scale: bool = False
    abort_scale_down_delay_seconds: Count = 30
    scale_down_delay_seconds: Count = 30
    scale_down_delay_revision_limit: Count | None = None
    canary_metadata: Mapping[str, Mapping[str, str]] = {}
    stable_metadata: Mapping[str, Mapping[str, str]] = {}


class BlueGreen(Known):
    """Strategy blueGreen: all traffic at once, from one Service to the other."""

    active_service: str
    preview_service: str
    auto_promotion_enabled: bool = True
    auto_promotion_seconds: Count | None = None
    preview_replica_count: Count | None = None
    scale_down_delay_seconds: Count = 30
    abort_scale_down_delay_seconds: Count = 30
    max_unavailable: Count | str = "25%"
    pre_promotion_analysis: Run | None = None
    post_promotion_analysis: Run | None = None


class Strategy(Known):
    """One of two."""

    canary: Canary | None = None
    blue_green: BlueGreen | None = None

    @model_validator(mode="after")
    def _one(self) -> "Strategy":
        if (self.canary is None) == (self.blue_green is None):
            raise ValueError("canary or blueGreen")
        return self


class Spec(Known):
    """What a Rollout wants; `template` is checked against Kubernetes' own schema."""

    selector: Plain
    template: Plain
    strategy: Strategy
    replicas: Count | None = None
    min_ready_seconds: Count = 0
    revision_history_limit: Count = 10
    progress_deadline_seconds: Count = 600
    progress_deadline_abort: bool = False
    rollback_window: Mapping[Literal["revisions"], int] | None = None
    analysis: Mapping[str, int] = {}


class Rollout(Known):
    """argoproj.io/v1alpha1 Rollout."""

    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["Rollout"]
    metadata: Metadata
    spec: Spec


def rollout(manifests: Manifests) -> Rollout:
    """The one Rollout; raises Problem that names the first field that is wrong."""
    return typed(Rollout, manifests.one("Rollout"), manifests.where)
