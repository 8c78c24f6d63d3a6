"""Run as a script in a checkout: save its model through MLflow, load it, answer requests.

Words: a JSON file of requests, and a folder for the model and values.json.
"""

import json
import sys
from pathlib import Path

import mlflow
import pandas as pd
import yaml


def main(requests: Path, folder: Path) -> None:
    """Write the answers' values, in order, to values.json."""
    root = Path.cwd()
    project = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["project"]
    mlflow.pyfunc.save_model(
        path=str(folder / "model"),
        python_model=str(root / "src/preflight/mlflow_model.py"),
        artifacts={"packaged": str(root / "models/packaged")},
        code_paths=[str(root / "src" / package) for package in ("preflight", project)],
        pip_requirements=[],
    )
    loaded = mlflow.pyfunc.load_model(str(folder / "model"))
    asked = json.loads(requests.read_text(encoding="utf-8"))
    values = loaded.predict(pd.DataFrame(asked))["value"].tolist()
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
