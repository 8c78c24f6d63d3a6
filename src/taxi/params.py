"""The sections of params.yaml that belong to this project."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from preflight.params import Section, Share

Feature = Literal[
    "pickup_zone",
    "dropoff_zone",
    "trip_distance",
    "minute_of_day",
    "weekday",
    "same_zone",
    "pickup_borough",
    "dropoff_borough",
]


class Generator(Section):
    """The synthetic source: rows in an ordinary month, and the seed."""

    rows: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class Model(Section):
    """Features by name, and LightGBM's parameters under LightGBM's names."""

    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    rounds: Annotated[int, Field(ge=1)]
    num_leaves: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    min_data_in_leaf: Annotated[int, Field(ge=1)]
    min_data_per_group: Annotated[int, Field(ge=1)]
    cat_smooth: Annotated[float, Field(ge=0)]
    feature_fraction: Share
    bagging_fraction: Share
    bagging_freq: Annotated[int, Field(ge=0)]
    num_threads: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]


SECTIONS: dict[str, type[BaseModel]] = {"model": Model, "generator": Generator}
