# make help lists what there is to make.

export GOTOOLCHAIN = go1.26.10

GO       ?= go
DATA     ?= ./data
FUZZTIME ?= 30s
# Packages with goroutines of their own; the race detector makes SQLite too
# slow to run it over everything at every turn.
RACE     ?= ./chunk/... ./internal/blob/... ./internal/depot/... ./internal/catalog/... ./internal/job/... \
            ./internal/images/... ./internal/transfer/... ./internal/identity/... ./internal/server/... ./internal/rest/tus
TOOLS    := .cache/bin
STATICCHECK := $(TOOLS)/staticcheck-v0.8.2
GOFUMPT     := $(TOOLS)/gofumpt-v0.12.0
# An S3 server for the tests (internal/testkit/s3server names it too).
VERSITYGW   := $(TOOLS)/versitygw-v1.8.0

.DEFAULT_GOAL := help
.PHONY: screenshots help serve build portal test race lint fuzz bench soak presubmit deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/kuva
	$(GO) build -trimpath -o bin/kuva ./cmd/kuva

serve: build ## build and start the service, data in DATA=./data
	exec ./bin/kuva serve --data $(DATA)

test: deps lint ## install what tests need, lint, run all tests
	$(GO) run ./scripts/testsum -p 2 -timeout 20m $(if $(CI),-count 1) ./...

race: deps ## run the concurrent packages under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) run ./scripts/testsum -race -p 1 -timeout 40m $(RACE)

lint: $(STATICCHECK) $(GOFUMPT) ## go vet, staticcheck, gofumpt, go mod tidy
	$(GO) vet ./...
	$(STATICCHECK) ./...
	@files=$$($(GOFUMPT) -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	 [ -z "$$files" ] || { echo "not formatted; run $(GOFUMPT) -w on:"; echo "$$files"; exit 1; }
	$(GO) mod tidy -diff

fuzz: ## run every fuzz target for FUZZTIME=30s
	scripts/fuzz $(FUZZTIME)

bench: build ## measure kuva and, with PEERS=dir, Glance; write docs/benchmarks.md
	scripts/benchmark/run

portal: ## build the portal's pages anew, internal/portal/dist (Node is fetched where there is none)
	scripts/portal build

soak: deps ## the crash, power-loss and model tests for hours (KUVA_SOAK=1)
	KUVA_SOAK=1 $(GO) run ./scripts/testsum -p 1 -timeout 24h -count 1 ./...

screenshots: deps ## pictures of every page into docs/screenshots
	KUVA_SCREENSHOTS=$(abspath docs/screenshots) $(GO) test -count 1 -timeout 30m -run TestScreenshots ./internal/server/portaltest

presubmit: test race ## what to run before a change is sent

deps: $(VERSITYGW) ## install what tests need: Debian packages (root; or name them), an S3 server
	@scripts/deps

clean: ## remove what was built, and nothing that was stored
	rm -rf bin .cache

$(STATICCHECK):
	GOBIN=$(abspath $(TOOLS)) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2
	mv $(TOOLS)/staticcheck $@

$(GOFUMPT):
	GOBIN=$(abspath $(TOOLS)) $(GO) install mvdan.cc/gofumpt@v0.12.0
	mv $(TOOLS)/gofumpt $@

$(VERSITYGW):
	GOBIN=$(abspath $(TOOLS)) $(GO) install -trimpath -ldflags '-s -w' github.com/versity/versitygw/cmd/versitygw@v1.8.0
	mv $(TOOLS)/versitygw $@
