"""A model service: what it has loaded, its routes, and who may use them."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from preflight import params, reference
from preflight.files import read_json
from preflight.layout import PACKAGED
from preflight.params import Mode, Switches
from preflight.predictor import Predictor
from preflight.serving import hashing, keys, logs, openapi, switches, wire
from preflight.serving.answers import Answerer, Prediction
from preflight.serving.batches import Batches, Remember
from preflight.serving.compiled import Columns
from preflight.serving.deadlines import Deadlines
from preflight.serving.door import Door
from preflight.serving.exchange import Exchange, deprecation
from preflight.serving.explanations import Explanations
from preflight.serving.ids import Ids
from preflight.serving.life import Life, give_back
from preflight.serving.metrics import Metrics
from preflight.serving.outcomes import Outcomes
from preflight.serving.problems import Refusal
from preflight.serving.recorder import Asked, Recorder
from preflight.serving.requests import Decoder, Invalid
from preflight.serving.watched import Watched

Handler = Callable[[Exchange], Awaitable[None]]

BUILD = Path("build.json")
UNREGISTERED = {"model_version": "unregistered", "commit": None, "bento": None}
encode = msgspec.json.Encoder().encode
log = logging.getLogger("preflight")


@dataclass(frozen=True)
class Route:
    """What answers a path: its method, its API version, and the scope that a key needs."""

    name: str
    method: str
    handler: Handler
    version: str = "-"
    scope: keys.Scope | None = None


class ModelService:
    """A loaded model with its routes; paths are relative to a Bento's or checkout's root."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.life = Life(self.beat)
        self.deadlines = Deadlines()
        self.ids = Ids()
        self.access = logs.Access()
        self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether this worker should be sent requests: loaded, warm, and not about to end."""
        return self._loaded and not self.life.draining

    def load(self) -> None:
        """Check the switches, load and verify the model, answer once to warm up. Raises Problem."""
        declared = params.load()
        limits = self.limits = declared.serving
        self._build = read_json(BUILD) if BUILD.exists() else UNREGISTERED
        if BUILD.exists():
            switches.require_production(os.environ, [*sys.argv, *switches.arbiter()])
        file = switches.path()
        self._file = Watched(file, lambda path: switches.read(limits, path)) if file else None
        # Without keys only this machine can ask: nobody has to be led elsewhere.
        self.life.drain_seconds = 0 if self.switches.auth == "off" else limits.drain_seconds
        self.door = Door(self._keys(), limits.max_rate, limits.entity_salt)
        self._model = Predictor(PACKAGED)
        contract = self._model.contract
        self.metrics = Metrics(contract.target_bins)
        self.recorder = Recorder(declared.log, contract, hashing.read(), self.metrics)
        self.recorder.behind_proxy = self.switches.behind_proxy
        self.recorder.arm = self.switches.arm
        self.recorder.identify(**self._identity())
        remember: Remember = self.recorder.predictions
        self._remember = self._explained if declared.log.explain else remember
        self.answerer = Answerer(self._model, str(self._build["model_version"]), self.metrics)
        self.decoder = Decoder(contract, limits.max_batch)
        batches = Batches(
            self.answerer,
            self.decoder,
            self.metrics,
            self._remember,
            limits,
            self._still,
        )
        outcomes = Outcomes(self.recorder, Ids(), limits)
        explanations = Explanations(self._model, limits.max_line_bytes)
        self._document = encode(openapi.document(contract, limits))
        self.routes = {
            "/v1/predict": Route("predict", "POST", self._one, "v1", "predict"),
            "/v1/predict/batch": Route("batch", "POST", batches.batch, "v1", "predict"),
            "/v1/predict/lines": Route("lines", "POST", batches.lines, "v1", "predict"),
            "/v1/outcomes": Route("outcomes", "POST", outcomes, "v1", "outcomes"),
            "/explain": Route("explain", "POST", explanations, scope="admin"),
            "/version": Route("version", "GET", self._version, scope="admin"),
            "/openapi.json": Route("openapi", "GET", self._openapi),
            "/docs.json": Route("openapi", "GET", self._openapi),  # where BentoML's page looks
        }
        self._deprecated = deprecation(limits.deprecated)
        self._warm()
        self.metrics.ready(**{name: str(each) for name, each in self._identity().items()})
        self._said = self.switches.mode
        self.metrics.mode(self._said)
        # What was loaded stays for good: a full collection need not walk through it each time.
        gc.collect()
        gc.freeze()
        give_back()
        self._parent = os.getppid()
        self._loaded = True
        build = self._build
        log.info("ready: version %s of commit %s", build["model_version"], build["commit"])

    def _keys(self) -> Watched[keys.Keys] | None:
        if self.switches.auth == "off":
            switches.require_loopback()
            return None
        found = Watched(keys.place(), keys.read)
        if not found.value.by_hash:
            raise keys.missing(found.path)
        return found

    def _warm(self) -> None:
        """The first answers cost more than others; nobody shall wait for them, or be counted."""
        self._model.one(reference.columns(self._model.contract, 1))
        self._model.answer(reference.columns(self._model.contract, 100))
        for route in ("predict", "batch"):
            self.metrics.judge(route)

    def _identity(self) -> dict[str, Any]:
        contract = self._model.contract
        return self._build | {
            "model_hash": self._model.model_hash,
            "contract": f"{contract.name}/{contract.version}",
        }

    def _mode(self) -> Mode:
        """What holds now; raises Refusal when nobody may answer."""
        now = self.switches
        if now.mode == "off":
            reason = now.reason or "no reason given"
            raise Refusal(503, "mode", f"off: {reason}", "normal", {"retry-after": "60"})
        return now.mode

    def _still(self, exchange: Exchange) -> Mode:
        """What holds for a request that was let in a while ago; raises Refusal."""
        self.door.require_known(exchange.given)
        return self._mode()

    @property
    def switches(self) -> Switches:
        """What holds now."""
        return self._file.value if self._file else self.limits

    def beat(self) -> None:
        """Read again what others may have changed; called every second."""
        if not self._loaded:
            return
        self.deadlines.expire()
        wire.expire()
        if os.getppid() != self._parent:  # nobody would replace this worker, or end it
            self._parent = os.getppid()
            os.kill(os.getpid(), signal.SIGTERM)
        for name, watched in (("keys", self.door.keys), ("switches", self._file)):
            changed = watched.refresh() if watched else False
            if changed is None:
                self.metrics.unread(name)
            elif changed:
                log.info("%s read again", name)
        self.recorder.beat()
        self.access.flush()
        now = self.switches
        if now.mode != self._said:
            self._said = now.mode
            log.info("mode %s: %s", now.mode, now.reason or "no reason given")
        self.metrics.mode(now.mode)
        self.metrics.beat()

    def end(self) -> None:
        """Write what waits, and end the log's segments."""
        self.access.flush()
        if self._loaded:
            self.recorder.close()

    def said(self, level: str) -> None:
        """Count a message of the service's own log."""
        if self._loaded:
            self.metrics.message(level)

    async def _one(self, exchange: Exchange) -> None:
        content = await exchange.body(self.limits.max_line_bytes)
        start, bucket = time.perf_counter(), exchange.caller.bucket
        columns = self.decoder.one(content)
        mode = self._mode()
        try:
            answer = self.answerer.one(columns, bucket, mode)
            self._remember(Asked(exchange, mode, start), columns, [answer])
            found = encode(answer)
        except Invalid:
            raise  # of a guard: what is refused judges nobody
        except Exception:
            self.metrics.answered("predict", bucket, time.perf_counter() - start, failed=True)
            raise
        self.metrics.answered("predict", bucket, time.perf_counter() - start)
        await exchange.answer(found)

    def _explained(self, asked: Asked, columns: Columns, found: Sequence[Prediction]) -> None:
        """Record answers, and beside each what it came from, as `log.explain` asks."""
        if asked.mode != "normal":  # the baseline answered, the model is not to be asked
            self.recorder.predictions(asked, columns, found)
            return
        parts = self._model.model.contributions(self._model.matrix(columns)).tolist()
        names = (*self._model.model.features, "base")
        explanations = [
            None if each.warning else dict(zip(names, part, strict=True))
            for part, each in zip(parts, found, strict=True)
        ]
        self.recorder.predictions(asked, columns, found, explanations)

    async def _version(self, exchange: Exchange) -> None:
        now = self.switches
        found = self._identity() | {"mode": now.mode, "reason": now.reason}
        await exchange.answer(encode(found))

    async def _openapi(self, exchange: Exchange) -> None:
        await exchange.answer(self._document)

    def admit(self, route: Route, method: str, exchange: Exchange) -> None:
        """Let a request in, or raise Refusal."""
        if route.method and method != route.method:
            allow = {"allow": route.method}
            raise Refusal(405, "method", method[:20], route.method, allow)
        if route.scope is None:
            return
        exchange.caller = self.door.admit(exchange.given, route.scope)
        if route.version == "-":
            return
        if route.version == "v1":  # of which serving.deprecated speaks
            exchange.headers += self._deprecated
        if route.scope == "predict":
            self._mode()
        coding = exchange.given.get(b"content-encoding", b"identity")
        if coding.lower() != b"identity":
            raise Refusal(415, "content-encoding", "a coded body", "identity")
