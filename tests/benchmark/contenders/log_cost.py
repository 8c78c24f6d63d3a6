"""The service with its log, and the same without: nothing is encoded, nothing written."""

from typing import Any

import bentoml

from preflight.serving.app import Front, ModelService

recorded: Any = ModelService()
unrecorded: Any = ModelService()


@bentoml.service(name="taxi", workers=1, traffic={"timeout": 2})
class WithLog:
    """As taxi.service."""

    def __init__(self) -> None:
        recorded.load()


@bentoml.service(name="taxi", workers=1, traffic={"timeout": 2})
class WithoutLog:
    """As taxi.service, but nobody will find out what was said."""

    def __init__(self) -> None:
        unrecorded.load()
        unrecorded._remember = lambda *_: None


WithLog.add_asgi_middleware(Front, service=recorded)  # type: ignore[attr-defined]
WithoutLog.add_asgi_middleware(Front, service=unrecorded)  # type: ignore[attr-defined]
