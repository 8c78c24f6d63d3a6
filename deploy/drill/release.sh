#!/usr/bin/env bash
# Release NAME: its digest goes into the rendered manifests by the code that a real release uses, and
# they are applied, as Argo CD would. A name that was released before gives the same bytes: a revert.
set -euo pipefail
source "$(dirname "$0")/versions.env"
name=$1
if [ ! -e "$OUT/$name.yaml" ]; then
  python "$(dirname "$0")/manifests.py" "$ENVIRONMENT" "$name" "$(cat "$OUT/$name.digest")" \
    "$(cat "$OUT/judge.digest")" >"$OUT/$name.partial"
  mv "$OUT/$name.partial" "$OUT/$name.yaml"
fi
echo "$(date +%s),$name" >>"$OUT/releases.csv"
kubectl apply --namespace "$NAMESPACE" --filename "$OUT/$name.yaml"
