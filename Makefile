# `make` lists what can be made. Everything is a thin call: the work is in scripts/ and in Go.

.DEFAULT_GOAL := help
.PHONY: help test check dev bench screenshots needs fuzz

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

test: needs ## install what the tests need (Debian), then run every check and every test
	@scripts/test

check: ## the quick checks: format, vet, staticcheck, known vulnerabilities, unit tests
	@scripts/check
	@go test ./internal/... ./cmd/...

dev: ## the living campus, kept in .cache/demo between runs
	@go run ./cmd/gatehouse demo --data .cache/demo

bench: ## measure every operation against a null server and print the table
	@scripts/bench

screenshots: needs ## draw docs/screenshots again, from the storybook and the app
	@scripts/screenshots

needs: ## install what the tests need: Chromium, PostgreSQL, Node packages
	@scripts/needs

fuzz: ## fuzz every parser that meets a stranger, 30 seconds each (FUZZTIME=5m for longer)
	@scripts/fuzz
