"""The service: BentoML runs it, preflight.serving answers, the contract guards the door."""

import bentoml

from preflight.serving.app import Front, ModelService

service = ModelService()


# The timeout is for BentoML's own routes: those of the service have limits in params.yaml.
@bentoml.service(name="taxi", workers=1, traffic={"timeout": 2})
class TripDuration:
    """How long a trip will take, in minutes."""

    def __init__(self) -> None:
        service.load()

    async def __is_ready__(self) -> bool:
        """Ready once the model is loaded, verified and warm, until the worker drains."""
        return service.ready


TripDuration.add_asgi_middleware(Front, service=service)  # type: ignore[attr-defined]
