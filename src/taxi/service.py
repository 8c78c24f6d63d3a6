"""The service: BentoML runs it, preflight.serving answers, the contract guards the door."""

import bentoml

from preflight.serving.app import Front, ModelService

service = ModelService()


# BentoML keeps a timer of the whole time limit for each request, answered or not, and what hangs
# on it: with its default of a minute, 5 KB a request.
@bentoml.service(name="taxi", workers=1, traffic={"timeout": 2})
class TripDuration:
    """How long a trip will take, in minutes."""

    def __init__(self) -> None:
        service.load()

    async def __is_ready__(self) -> bool:
        """Ready once the model is loaded, verified and warm."""
        return service.ready


TripDuration.add_asgi_middleware(Front, service=service)  # type: ignore[attr-defined]
