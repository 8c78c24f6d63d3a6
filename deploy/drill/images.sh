#!/usr/bin/env bash
# Four images of this commit's Bento: what is stable, an honest next release, one that fails, the judge.
# Prints nothing that decides; OUT/NAME.digest is what release.sh puts into the manifests.
set -euo pipefail
source "$(dirname "$0")/versions.env"
mkdir -p "$OUT"
python "$(dirname "$0")/bentos.py" "$OUT/bentos"
push() { # NAME REPOSITORY FOLDER: a label, so that equal contents are releases of their own
  local tag="localhost:$REGISTRY/$2:$1"
  docker build --label "drill=$1" --tag "$tag" --file "$(dirname "$0")/../image/Containerfile" "$3"
  docker push "$tag"
  docker inspect --format '{{index .RepoDigests 0}}' "$tag" | sed 's/.*@//' >"$OUT/$1.digest"
}
push stable taxi "$OUT/bentos/honest"
push good taxi "$OUT/bentos/honest"
push bad taxi "$OUT/bentos/errors"
push judge judge "$OUT/bentos/honest"
