"""The rendered manifests with a release of the drill in them, to standard output."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from preflight import lineage
from preflight.deploy import rendering
from preflight.release import RENDERED, Release, ReleasedModel, Rollout

environment, name, image, judge = sys.argv[1:]
where = RENDERED.format(environment=environment)
commit, nothing = lineage.head(Path.cwd()), "0" * 64
record = Release(
    environment=environment,
    model=ReleasedModel(name="taxi", version=name, hash=nothing),
    commit=commit,
    manifests=commit,
    data=nothing,
    evidence=nothing,
    bento=f"taxi:{name}",
    image=image,
    who="the drill",
    when=datetime.now(UTC),
    previous=None,
    artifacts="rebuilt",
    run=None,
    pull_request=None,
    approval=None,
    rollout=Rollout(verdict="pending", at=None),
)
text = rendering.released(Path(where).read_text(encoding="utf-8"), record, where)
sys.stdout.write(text.replace(f"/judge@{rendering.NONE}", f"/judge@{judge}"))
