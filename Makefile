# Every command sets up what it needs: the environments follow the locks in requirements/.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help setup demo test lint gates bench bench-compare bench-serving bench-log judge-study soak fuzz load report verdict faults pull-request scope rehearse rehearse-study drill drill-tell comment audit tools kubeconform promtool secrets \
	release package publish stage measured sign verify settle promote land rollback bot-commits resume tell kyverno \
	repro restore push pull register bento serve bench-pipeline lock clean

# The first Python between 3.11 and 3.13 that really starts.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

# DVC starts each stage with the `python` it finds first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export BENTOML_HOME := $(CURDIR)/.preflight/bentoml
export BENTOML_DO_NOT_TRACK := True
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true
export MLFLOW_DISABLE_TELEMETRY := true
# Two OpenMP programs on the same cores spin against each other unless they wait passively.
export OMP_WAIT_POLICY := PASSIVE

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 18

setup: .venv/.stamp .venv-serve/.stamp ## create or refresh both environments (every command does it when needed)

demo: setup ## the whole way in a scratch clone: data, model, registry, Bento, a served answer
	@.venv/bin/preflight demo

test: setup ## unit and integration tests, with branch coverage
	@mkdir -p .preflight/coverage && .venv/bin/coverage erase
	@rm -f reports/coverage.json $(CODE_EVIDENCE)
	@.venv/bin/coverage run -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder $(EVIDENCE); status=$$?; \
	.venv/bin/coverage combine -q && .venv/bin/coverage json -q --fail-under=0 -o reports/coverage.json && \
	$(if $(EVIDENCE),.venv/bin/preflight coverage,echo "coverage: uncommitted changes, so no evidence is kept") && \
	.venv/bin/coverage report && exit $$status

# Evidence is of a commit: a tree with changes leaves none.
EVIDENCE = $(shell test -n "$$(git status --porcelain)" || \
	echo --evidence reports/evidence --evidence-commit $$(git rev-parse HEAD))
CODE_EVIDENCE = reports/evidence/unit.json reports/evidence/integration.json reports/evidence/coverage.json

gates: setup ## judge this commit's model against the champion; ONLY="quality slices" for some
	@.venv/bin/preflight gates $(ONLY)

bench: setup bench-pipeline bench-serving ## this tree's times: pytest-benchmark, then both tables
	@.venv/bin/preflight restore
	@.venv/bin/python -m pytest tests/benchmark

bench-serving: setup ## the service beside FastAPI and others; prints the table of docs/serving.md
	@.venv/bin/preflight restore
	@.venv/bin/python tests/benchmark/serving.py $(ARGS)

bench-log: setup ## what the service remembers: 100 kills, costs, compaction, explain, replay; ARGS="explain" for some
	@.venv/bin/preflight restore
	@.venv/bin/python tests/benchmark/memory.py $(ARGS)

soak: setup ## ten minutes at 70% of what the service can do: failures, p99, memory
	@.venv/bin/preflight restore
	@.venv/bin/python tests/benchmark/soak.py $(ARGS)

fuzz: setup ## 100,000 generated requests: never a 5xx, never a trace
	@.venv/bin/preflight restore
	@PYTHONPATH=tests .venv/bin/python -m fuzz $(or $(ARGS),100000)

bench-compare: setup ## gate: this commit's times against the champion's, or against BASE=ref
	@.venv/bin/preflight $(if $(BASE),bench-compare $(BASE),gates benchmark)

judge-study: setup ## thousands of rollouts simulated: the judge beside its rivals; ARGS=--write for docs/judge.md
	@PYTHONPATH=tests .venv/bin/python -m judging $(ARGS)

load: setup ## gate: the service under its expected load, against the champion's
	@.venv/bin/preflight gates load

rehearse: setup ## gate: the declared rollout on this machine, beside the champion; ARGS="--fault errors" to look
	@.venv/bin/preflight $(if $(ARGS),rehearse $(ARGS),gates rehearsal)

rehearse-study: setup ## ten honest rollouts, each fault three times; ARGS=--write for docs/rehearsal.md
	@PYTHONPATH=tests .venv/bin/python -m rehearsing $(ARGS)

drill: setup ## on the kind cluster that kubectl answers for: a promotion, an abort, a revert
	@deploy/drill/run.sh

drill-tell: ## an issue on the drill that failed; for drill.yml
	@deploy/drill/tell.sh

report: setup ## tests, gates and their report: what a pull request is judged by
	@.venv/bin/preflight report --run

verdict: .venv/.stamp ## the report of the evidence that lies in reports/evidence
	@.venv/bin/preflight report

faults: setup ## plant every fault, make every honest change (20 minutes); ARGS="--part COMMIT" for some
	@PYTHONPATH=tests .venv/bin/python -m faults $(ARGS)

pull-request: setup ## rehearse pull-request.yml and report.yml in scratch clones; ARGS=honest for one
	@PYTHONPATH=tests .venv/bin/python -m workflow $(ARGS)

lint: .venv/.stamp ## format, lint, types, secrets, workflows, large files, YAML
	@.venv/bin/preflight lint

tools: ## build the checkers that are not Python's, with Go
	@GOBIN=$(CURDIR)/.preflight/go go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	@GOBIN=$(CURDIR)/.preflight/go go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1

kubeconform: ## check what is rendered against the schemas of the cluster's kinds, which it fetches
	@GOBIN=$(CURDIR)/.preflight/go go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
	@.preflight/go/kubeconform -strict -summary -kubernetes-version 1.36.0 -schema-location default \
	-schema-location '$(CRDS)/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' deploy/rendered

CRDS := https://raw.githubusercontent.com/datreeio/CRDs-catalog/main

promtool: ## the checker of alarms, with Debian's package prometheus; asks for root
	@command -v promtool >/dev/null || { root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$root apt-get update -qq && $$root apt-get install -qq --yes --no-install-recommends prometheus; }

audit: .venv/.stamp ## known weaknesses of the locked packages; one that cannot be looked up is red
	@.venv/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements/serve.txt --requirement requirements/dev.txt

secrets: .venv/.stamp ## search every file for secrets
	@.venv/bin/pre-commit run secrets --all-files

scope: ## whether the change is prose alone, for the pull request's jobs
	@$(PYTHON) -P src/preflight/scope.py

comment: .venv/.stamp ## post a finished run's report on its pull request; for report.yml
	@.venv/bin/preflight comment

release: setup ## a merge's way to production in a scratch clone: image, staging, rollout, a traced answer
	@.venv/bin/preflight release

package: setup ## register HEAD's model, build its Bento and image, draft its release; all gates green
	@.venv/bin/preflight package

publish: .venv/.stamp ## push the packaged image to registry.images, read it again and compare
	@.venv/bin/preflight publish

stage: .venv/.stamp ## commit the drafted release to staging, on top of the remote's main
	@.venv/bin/preflight stage

measured: .venv/.stamp ## benchmark, load and rehearsal of the merge queue's run of this tree; for release.yml
	@.venv/bin/preflight measured

# What comes from a workflow stays a variable of the shell: Make itself would run it.
sign: ## sign IMAGE, by digest, as the workflow that runs; for release.yml
	@cosign sign --yes "$$IMAGE"

verify: .venv/.stamp ## compare each link of a release's chain; OF=staging, a commit, Bento or image
	@.venv/bin/preflight verify -- "$$OF"

settle: .venv/.stamp ## a rollout's end into Git: ENVIRONMENT, RELEASE, VERDICT, perhaps JUDGE with QUESTION
	@.venv/bin/preflight settle $${JUDGE:+--judge "$$JUDGE/v1/verdict?$$QUESTION"} -- "$$ENVIRONMENT" "$$RELEASE" "$$VERDICT"

promote: .venv/.stamp ## propose to production what staging promoted; AGAIN="why" for what was left before
	@.venv/bin/preflight promote $${AGAIN:+--again "$$AGAIN"}

land: .venv/.stamp ## put the promotion of pull request NUMBER, that BOT opened, on main; for promote.yml
	@.venv/bin/preflight land --bot "$${BOT:?}" -- "$${NUMBER:?}" || [ $$? -eq 2 ] # not yet: it is asked again

rollback: .venv/.stamp ## put an earlier release on main again: ENVIRONMENT, WHY, perhaps TO and WHO
	@.venv/bin/preflight rollback --push --in-flight --why "$$WHY" $${TO:+--to "$$TO"} $${WHO:+--who "$$WHO"} -- "$$ENVIRONMENT"

bot-commits: .venv/.stamp ## name commits since BASE that BOT, or a hand, may not make; for commits.yml
	@.venv/bin/preflight bot-commits --bot "$${BOT:-preflight}" -- "$$BASE..HEAD"

resume: ## let the newest release go on that was refused while another's rollout ran; for verdict.yml
	@.github/resume

tell: ## an issue TITLE with TEXT and RUN; for workflows
	@.github/tell

# Its module replaces others', so `go install` alone refuses it.
kyverno: ## try the admission policies on pods that are good and bad; builds Kyverno's program, with Go
	@[ -x .preflight/go/kyverno ] || { go mod download $(KYVERNO) && rm -rf .preflight/kyverno && mkdir -p .preflight/go && \
	cp -R "$$(go env GOMODCACHE)/$(KYVERNO)" .preflight/kyverno && chmod -R u+w .preflight/kyverno && \
	(cd .preflight/kyverno && go build -o ../go/kyverno ./cmd/cli/kubectl-kyverno) && rm -rf .preflight/kyverno; }
	@.preflight/go/kyverno test tests/admission --remove-color

KYVERNO := github.com/kyverno/kyverno@v1.19.1

repro: .venv/.stamp ## run the pipeline's changed stages; rewrites dvc.lock
	@.venv/bin/preflight repro

restore: .venv/.stamp ## bring this commit's data and model: pull, else reproduce
	@.venv/bin/preflight restore

push: .venv/.stamp ## send data and models to the DVC remote
	@.venv/bin/dvc push

pull: .venv/.stamp ## get data and models from the DVC remote
	@.venv/bin/dvc pull

register: .venv/.stamp ## put this commit's model into the registry
	@.venv/bin/preflight register

bento: .venv/.stamp ## build the Bento of this commit's registered model
	@.venv/bin/preflight bento

serve: setup ## serve this commit's model on 127.0.0.1:3000 without keys, after what is missing for it
	@.venv/bin/preflight serve --auth off

bench-pipeline: setup ## measure the pipeline; prints the table of docs/benchmarks.md
	@.venv/bin/python tests/benchmark/pipeline.py

lock: .venv/.stamp ## pin requirements/*.in anew
	@.venv/bin/uv pip compile $(LOCK) requirements/serve.in -o requirements/serve.txt
	@.venv/bin/uv pip compile $(LOCK) requirements/dev.in -o requirements/dev.txt

# One version for every Python and platform, hashes, and no address.
LOCK := --quiet --universal --fork-strategy fewest --python-version 3.11 --upgrade --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

clean: ## remove the environments and everything under .preflight
	@rm -rf .venv .venv-serve .preflight

.venv/.stamp: requirements/dev.txt pyproject.toml
	@requirements/install "$(PYTHON)" .venv requirements/dev.txt --editable

.venv-serve/.stamp: requirements/serve.txt .venv/.stamp
	@requirements/install "$(PYTHON)" .venv-serve requirements/serve.txt
