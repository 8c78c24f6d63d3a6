"""The model registry: MLflow, on SQLite unless params.yaml names another."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from preflight import lineage, metrics
from preflight import params as parameters
from preflight import project as seam
from preflight.contract import Column, Contract
from preflight.errors import NoData, Problem
from preflight.files import read_json
from preflight.gates import limits
from preflight.layout import METRICS, PACKAGED, STATE
from preflight.lineage import Origin
from preflight.params import Params
from preflight.workspace import run

log = logging.getLogger("preflight")


def register(root: Path) -> str:
    """Register the model of the committed tree `root`; returns its version.

    The same commit and model hash give the same version. Raises Problem for a tree that is
    dirty or not current, and for an evaluation that misses a limit (NoData: lacks a figure).
    """
    lineage.require_committed(root)
    params = parameters.load(root / "params.yaml")
    lineage.require_current(root)
    require_floors(read_json(root / METRICS)["test"], limits.load(root / "params.yaml").quality)
    origin = lineage.origin(root)
    client = _client(root, params)
    if known := find(client, params.registry.name, origin):
        log.info("%s version %s is this commit's model already", params.registry.name, known)
        return known
    return _log(root, params, origin)


def require_floors(test: metrics.Metric, floors: metrics.Floors) -> None:
    """Refuse an evaluation that misses a floor of params.yaml."""
    for line in metrics.judged(test, floors):
        if line.status != "pass":
            kind = NoData if line.status == "no-data" else Problem
            raise kind(
                f"{METRICS}: {line.name}",
                "no data" if line.measured is None else f"{line.measured:.4g}",
                f"{line.limit} (params.yaml, gates.quality)",
                "The model is not registered; improve it.",
            )


def find(client: Any, name: str, origin: Origin) -> str | None:
    """The version of this commit and model hash, if there is one."""
    for version in client.search_model_versions(f"name = '{name}'"):
        tags = version.tags
        if (tags.get("commit"), tags.get("model_hash")) == (origin.commit, origin.model_hash):
            return str(version.version)
    return None


def version_of(root: Path) -> str:
    """The registered version of a committed tree; raises Problem when there is none."""
    params = parameters.load(root / "params.yaml")
    origin = lineage.origin(root)
    if found := find(_client(root, params), params.registry.name, origin):
        return found
    raise Problem(
        f"registry {params.registry.name}",
        f"no version of commit {origin.commit[:12]}",
        "a registered model",
        "Run `make register`.",
    )


def info(root: Path, version: str) -> dict[str, Any]:
    """How, when and from what a version was made, as plain data."""
    params = parameters.load(root / "params.yaml")
    client = _client(root, params)
    name = params.registry.name
    found = list(client.search_model_versions(f"name = '{name}'"))
    ours = [item for item in found if "commit" in item.tags]  # others were made by hand
    chosen = [item for item in ours if str(item.version) == version]
    if not chosen:
        known = ", ".join(map(str, sorted(int(item.version) for item in ours))) or "none"
        raise Problem(
            f"registry {name}", f"no version {version!r}", f"one of: {known}", "Name one of them."
        )
    tags, logged = chosen[0].tags, client.get_run(chosen[0].run_id).data
    author = run(root, "git", "show", "-s", "--format=%an", tags["commit"], check=False).stdout
    return {
        "model": f"{name}/{version}",
        **{key: tags[key] for key in ("registered_at", "commit", "model_hash", "contract")},
        "author": author.strip() or "unknown here: the commit is not in this clone",
        "artifact": chosen[0].source,
        "environment": {key: tags[key] for key in ("python", "platform", "serve_lock", "dev_lock")},
        "data": json.loads(tags["data"]),
        "params": dict(sorted(logged.params.items())),
        "metrics": dict(sorted(logged.metrics.items())),
    }


def _client(root: Path, params: Params) -> Any:
    from mlflow import MlflowClient, set_tracking_uri

    set_tracking_uri(_uri(root, params))
    return MlflowClient()


def _uri(root: Path, params: Params) -> str:
    """The registry's address; a relative SQLite file lies below the checkout."""
    address = params.registry.uri
    prefix = "sqlite:///"
    if address.startswith(prefix) and not address.startswith(prefix + "/"):
        file = root / address.removeprefix(prefix)
        file.parent.mkdir(parents=True, exist_ok=True)
        return f"{prefix}{file}"
    return address


def _log(root: Path, params: Params, origin: Origin) -> str:
    """One MLflow run with everything needed to find the way back, and its model's version."""
    import platform

    import mlflow

    contract = seam.contract(params.project)
    name = params.registry.name
    _experiment(root, params)
    tags = {
        "commit": origin.commit,
        "model_hash": origin.model_hash,
        "contract": origin.contract,
        "serve_lock": origin.serve_lock,
        "dev_lock": origin.dev_lock,
        "data": json.dumps(origin.data, sort_keys=True),
        "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    raw = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    with mlflow.start_run(run_name=origin.commit[:12], tags=tags):
        mlflow.log_params({key: str(value)[:6_000] for key, value in parameters.flat(raw).items()})
        measured = read_json(root / METRICS)
        mlflow.log_metrics(parameters.flat(measured))
        mlflow.log_artifacts(str(root / METRICS.parent), "evaluation")
        for file in ("dvc.lock", "params.yaml", "requirements/serve.txt", "requirements/dev.txt"):
            mlflow.log_artifact(str(root / file), "origin")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(root / "src/preflight/mlflow_model.py"),
            artifacts={"packaged": str(root / PACKAGED)},
            code_paths=[str(root / "src" / package) for package in ("preflight", params.project)],
            signature=_signature(contract),
            input_example=_example(contract),
            pip_requirements=_pins(root / "requirements/dev.txt"),
        )
        version = mlflow.register_model(logged.model_uri, name, tags=tags)
    log.info("registered %s version %s", name, version.version)
    return str(version.version)


def _experiment(root: Path, params: Params) -> None:
    import mlflow

    mlflow.set_tracking_uri(_uri(root, params))
    name = params.registry.name
    if params.registry.uri.startswith("sqlite") and not mlflow.get_experiment_by_name(name):
        artifacts = root / STATE / "mlflow" / "artifacts"
        mlflow.create_experiment(name, artifact_location=artifacts.as_uri())
    mlflow.set_experiment(name)


def _signature(contract: Contract) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kinds = {"integer": "long", "number": "double", "text": "string", "time": "string"}
    asked = [ColSpec(kinds[column.kind], column.name) for column in contract.known]
    answered = [ColSpec("double", name) for name in ("value", "lower", "upper")]
    return ModelSignature(inputs=Schema(asked), outputs=Schema(answered))


def _example(contract: Contract) -> Any:
    import pandas as pd

    def value(column: Column) -> Any:
        return float(column.example) if column.kind == "number" else column.example

    return pd.DataFrame([{column.name: value(column) for column in contract.known}])


def _pins(lock: Path) -> list[str]:
    """The lock's exact versions of what the MLflow model imports."""
    wanted = ("lightgbm==", "mlflow==", "numpy==", "pandas==", "pydantic==", "pyyaml==")
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.startswith(wanted)]
