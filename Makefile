# make run    build and serve with defaults; data in ./signalbox-data
# make test   everything CI runs
# make help   the rest
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
PKG     ?= ./...
FUZZTIME ?= 5s

# One static binary; and one set of compiled packages for building and testing.
export CGO_ENABLED = 0

.PHONY: help run build test check race unit e2e fuzz vet fmt lint layers docs cross bench bench-diff clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build and serve with defaults, data in ./signalbox-data
	./bin/signalbox serve

build: ## build bin/signalbox, one static binary
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/signalbox ./cmd/signalbox

test: fmt vet race e2e fuzz cross ## everything CI runs

check: fmt vet lint unit ## quick: format, vet, lint, tests without the race detector

unit: ## tests without the race detector and without end-to-end tests
	$(GO) test $$($(GO) list ./... | grep -v /test/e2e)

race: ## tests with the race detector and assertions, without end-to-end tests
	CGO_ENABLED=1 $(GO) test -race -tags invariants -timeout 20m $$($(GO) list ./... | grep -v /test/e2e)

e2e: build ## tests of the real binary with real clients and servers
	$(GO) test -count=1 -timeout 20m ./test/e2e/...

fuzz: ## every fuzz target for FUZZTIME
	$(GO) run ./tools/fuzzall -time $(FUZZTIME)

vet:
	$(GO) vet ./...

fmt: ## fail when a file is not formatted
	@out=$$(gofmt -s -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$out" ]; then echo "not formatted (gofmt -s -w):"; echo "$$out"; exit 1; fi

lint: ## golangci-lint, the import rule included
	$(GO) tool -modfile=tools/golangci-lint/go.mod golangci-lint run

layers: ## the import rule alone
	$(GO) test ./internal/layers

docs: ## write docs/generated and deps.txt anew
	$(GO) run ./tools/docgen

cross: ## the other platforms we release for
	GOOS=linux  GOARCH=arm64 $(GO) build -o /dev/null ./cmd/signalbox
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/signalbox

bench: ## ten counts of the benchmarks of PKG into bench/out/<commit>.txt
	@mkdir -p bench/out
	$(GO) test -run '^$$' -bench . -benchmem -count 10 $(PKG) | tee bench/out/$$(git rev-parse --short HEAD).txt

bench-diff: ## benchstat of OLD and NEW, two commits that `make bench` was run on
	$(GO) tool -modfile=tools/benchstat/go.mod benchstat bench/out/$(OLD).txt bench/out/$(NEW).txt

clean:
	rm -rf bin bench/out
