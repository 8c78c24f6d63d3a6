"""BentoML as its quickstart shows it, around the same model.

The same: model, one prediction with its interval a request, environment.
"""

import bentoml
import numpy as np

from preflight.layout import PACKAGED
from preflight.predictor import Predictor


@bentoml.service(name="quickstart")
class Quickstart:
    """A row in, a value out."""

    def __init__(self) -> None:
        self.model = Predictor(PACKAGED)

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(
        self, pickup_at: str, pickup_zone: int, dropoff_zone: int, trip_distance: float
    ) -> float:
        """Minutes."""
        columns = {
            "pickup_at": np.array([pickup_at], dtype="datetime64[us]"),
            "pickup_zone": np.array([pickup_zone]),
            "dropoff_zone": np.array([dropoff_zone]),
            "trip_distance": np.array([trip_distance]),
        }
        return self.model.one(columns).value
