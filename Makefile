# Ingot's tasks. Every task that needs programs of the host installs what is missing first, after saying what,
# how much and how long (scripts/install). Run it as root, or as a user with sudo.
#
#   make demo              a laptop on a virtual bench, from power-on to its recorded name
#   make test              unit tests, then the end-to-end cases of CASES
#   make e2e CASE=x        one end-to-end case, or several, or "all"; "make cases" names them
#   make kill-200          kill -9 of a working daemon, and of a working library, 200 times each, with a proof of everything after each; KILLS=n
#   make hostile           every hostile string through every field that a laptop or a file sets, at a real daemon; 10 minutes
#   make fuzz TIME=5m      each fuzz target for that long
#   make bench             Ingot beside the imaging programs of today, in one run and one table; SET=small for a slow mirror
#   make lint build clean
#   make install           the daemon as a service of this host (PREFIX=/usr/local DESTDIR=); then "sudo ingot setup"
#   make uninstall         takes it off again; records, images and configuration stay
#   make fresh             demo and test in a clean Debian 12, as root and as a user with sudo

CASES ?= uefi deploy-secureboot-nvme resume-agent
CASE  ?= uefi
TIME  ?= 1m
KILLS ?= 200
SET   ?= office

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

export XDG_CACHE_HOME ?= $(HOME)/.cache
# A Go that is older than go.mod's toolchain line fetches that toolchain; a newer one is used as it is.
export GOTOOLCHAIN = auto
# A plain user's PATH often lacks the folders of mkfs, sgdisk and ip.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

SUDO = $(if $(filter 0,$(shell id -u)),,sudo env "PATH=$$PATH" "XDG_CACHE_HOME=$$XDG_CACHE_HOME")
LAB  = $(SUDO) bin/ingot-lab
GOBUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w"

.PHONY: all build demo test unit e2e cases kill-200 hostile fuzz bench lint clean fresh install uninstall tools gotools browser

all: build

# What building needs, what the lab needs on top of it, and what looks at the pages.
gotools:
	@scripts/install go
tools:
	@scripts/install go lab
browser:
	@scripts/install go lab browser

build: gotools
	$(GOBUILD) -o bin/ ./cmd/ingot ./cmd/ingot-lab
	$(GOBUILD) -tags nethttpomithttp2 -o bin/ ./cmd/ingot-agent # it speaks no HTTP/2, and the laptops' first stage is bounded

install: build
	@$(SUDO) env PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/host install

uninstall:
	@$(SUDO) env PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/host uninstall

demo: tools build
	$(LAB) demo

test: unit
	$(LAB) e2e $(CASES)

unit: browser build
	go vet ./...
	INGOT_TOOLS=installed go test -timeout 40m ./...

e2e: $(if $(filter page wipe-gate all,$(CASE)),browser,tools) build
	$(LAB) e2e $(CASE)

cases: build
	@bin/ingot-lab list

kill-200: tools
	go test ./cmd/internal/site -run '^TestAKilledDaemon' -v -timeout 60m -kills $(KILLS)
	go test ./imaging/library -run '^TestAKillAtAnyMoment' -v -timeout 60m -kills $(KILLS)

hostile: browser
	INGOT_TOOLS=installed go test ./cmd/internal/site -run '^TestHostileStringsDoNothing$$' -v -timeout 30m -every

fuzz: tools
	scripts/fuzz $(TIME)

bench: tools build
	@scripts/install bench
	$(LAB) bench --set $(SET)

lint: gotools
	@out=$$(gofmt -l $$(git ls-files '*.go')) && if [ -n "$$out" ]; then echo "gofmt:"; echo "$$out"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

# The golden images and the boot bundle are dear to make; clean removes them too.
clean:
	rm -rf bin
	$(SUDO) rm -rf "$$XDG_CACHE_HOME/ingot"

fresh: tools
	$(SUDO) scripts/fresh
