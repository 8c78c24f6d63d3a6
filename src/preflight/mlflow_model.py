"""The packaged model as an MLflow model: code that MLflow keeps and runs, no pickle."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from preflight.predictor import Predictor


class PackagedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers a frame of the contract's known columns; times are ISO texts."""

    def load_context(self, context: Any) -> None:
        """Load and verify the folder that was logged as the artifact `packaged`."""
        self._model = Predictor(Path(context.artifacts["packaged"]))

    def predict(self, context: Any, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002
        """Columns value, lower and upper, one row a request."""
        columns = {
            column.name: np.array(
                model_input[column.name], dtype="datetime64[us]" if column.kind == "time" else None
            )
            for column in self._model.contract.known
        }
        found = self._model.answer(columns)
        value = self._model.given(columns, found)
        return pd.DataFrame({"value": value, "lower": found.lower, "upper": found.upper})


mlflow.models.set_model(PackagedModel())
