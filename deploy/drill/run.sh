#!/usr/bin/env bash
# The drill, step by step, on the kind cluster that kubectl answers for; `make drill` calls it. Each step
# also runs alone. Whatever happens, the callers end and the picture is drawn. Of Argo CD only the kinds
# are there, which check our objects: what applies the manifests here is kubectl.
set -euo pipefail
here=$(dirname "$0")
source "$here/versions.env"
# An earlier drill's manifests name digests that are gone, and its looks would be in this one's picture.
if [ -e "$OUT" ]; then
  mv "$OUT" "$OUT.$(date +%s)"
fi
mkdir -p "$OUT"
step() {
  echo "== $*"
  "$here/$1" "${@:2}"
}
step registry.sh
step images.sh
step controllers.sh
step platform.sh
step release.sh stable
step await.sh promoted 600
step traffic.sh
trap 'step end.sh' EXIT
step release.sh good
step await.sh promoted 2700
step release.sh bad
step await.sh aborted 2700
step recover.sh good
