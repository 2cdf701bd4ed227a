# make all, make test, make test-versions, make demo, make demo-swift, make install: see README.md.
#
# The binaries are linked statically, so that one build runs on every Linux of its architecture. The
# target is named even when it is the host's own: without it the flags would reach the procedural
# macros too, and those cannot be static.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
SYSCTLDIR ?= $(PREFIX)/lib/sysctl.d
CARGO ?= cargo
# rustc is asked only where something is built, since whoever installs may have no Rust.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE = $(TARGET_DIR)/$(HOST)/release
# The sums of what `make` built, which say for which target, and as old as the start of that build.
BUILT := $(TARGET_DIR)/built.sha256
# The target that the command line names, for a package for another machine: make install HOST=TRIPLE
NAMED_HOST := $(if $(filter command,$(firstword $(origin HOST))),$(HOST))
TO_INSTALL = $(shell sed 's/^[^ ]* *//' "$(BUILT)")
TOOLS := $(notdir $(wildcard tools/*))
COMPLETIONS := bash-completion/completions fish/vendor_completions.d zsh/site-functions
PAGES := $(wildcard man/*.[1-8])
UNITS := $(wildcard shared/installed/systemd/*.service shared/installed/systemd/*.target)
# In a unit, only what is installed here is in BINDIR: Swift's servers stay in /usr/bin.
OWN_PATHS = $(foreach tool,$(TOOLS),-e 's,/usr/bin/$(tool)\( \|$$\),$(BINDIR)/$(tool)\1,g')

# Virtual environments with OpenStack Swift's own servers, for the tests and the demonstration: one a
# release in SWIFT_VENVS, and SWIFT_VENV is that of the newest. Name those that are there already to save
# the download: make test SWIFT_VENVS=DIR
SWIFT_VENVS ?= $(TARGET_DIR)/swift-venvs
override SWIFT_VENVS := $(abspath $(SWIFT_VENVS))
SWIFT_VENV ?= $(SWIFT_VENVS)/2.38
override SWIFT_VENV := $(abspath $(SWIFT_VENV))
export SWIFT_VENVS SWIFT_VENV

# What `make test-versions` plays, and `make venvs` makes.
RELEASES ?= 2.23 2.30 2.33 2.35 2.38

# What `make test-systemd` plays: root directories with a systemd, / for the machine's own.
SYSTEMD_ROOTS ?= / $(TARGET_DIR)/systemd/trixie

FAULTS := swift-init/faults,swift-serve/faults

# How long `make fuzz` feeds each property, and which ones: make fuzz FUZZ=row FUZZ_SECONDS=3600
FUZZ_SECONDS ?= 600
FUZZ ?= $(basename $(notdir $(wildcard tests/fuzz/corpus/*.txt)))

.PHONY: all check lint venv venvs test test-versions test-systemd soak fuzz growth bench bench-growth bench-reload bench-serve demo \
	demo-swift installable install dist clean

all:
	mkdir -p "$(TARGET_DIR)"
	touch "$(BUILT).begun"
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --target $(HOST) \
		$(addprefix --package ,$(TOOLS))
	cd "$(TARGET_DIR)" && sha256sum $(addprefix $(HOST)/release/,$(TOOLS)) >"$(BUILT)"
	touch -r "$(BUILT).begun" "$(BUILT)"

LINT = $(CARGO) fmt --all --check && \
	$(CARGO) clippy --workspace --all-targets --features $(FAULTS) -- -D warnings && \
	mandoc -T lint -W warning $(PAGES)

lint:
	$(LINT)

# What answers within a minute after a build: run it before each commit.
check: lint
	$(CARGO) test --workspace --features $(FAULTS) --lib --test transcripts --test house

venv:
	tests/lab/setup-venv 2.38 "$(SWIFT_VENV)"

# All that there is a Python for; what there is none for is said, and no error here.
venvs:
	for release in $(RELEASES); do tests/lab/setup-venv $$release || [ $$? = 3 ] || exit 1; done

# Every binary is built first: cargo test builds only those of the package under test, and a test of a
# pipeline runs its neighbours' too.
# The fault points, at which a test stops or kills the tools, are in no other build. The virtual
# environments come over the network while the compiler is at work. Most tests wait more than they compute,
# so there are more of them at a time than processors.
test: export RUST_TEST_THREADS ?= $(shell expr 2 '*' $$(nproc))
test:
	tests/lab/setup-venv 2.38 "$(SWIFT_VENV)" & newest=$$!; \
	tests/lab/setup-venv 2.30 & oldest=$$!; \
	$(LINT) && $(CARGO) build --workspace --all-targets --features $(FAULTS); \
	built=$$?; wait $$newest && wait $$oldest && exit $$built
	$(CARGO) test --workspace --features $(FAULTS)

# Every release of Swift, with a table at the end. A release without a Python for it is not played, which
# counts as a failure unless it is left out: make test-versions RELEASES='2.30 2.38'
test-versions: venvs
	$(CARGO) build --workspace --all-targets --features $(FAULTS)
	CARGO="$(CARGO)" tests/versions/run $(RELEASES)

# The machine's own systemd and that of Debian 13, with a table at the end. A root directory that cannot be
# had is not played, which counts as a failure unless it is left out: make test-systemd SYSTEMD_ROOTS=/
test-systemd: venv
	tests/lab/setup-root trixie "$(TARGET_DIR)/systemd/trixie" || [ $$? = 3 ]
	$(CARGO) build --workspace --all-targets --features $(FAULTS)
	CARGO="$(CARGO)" tests/systemd/run $(SYSTEMD_ROOTS)

# All that tests/faults/ does and the runtimes of tests/serve/, with the counts of their long form.
soak: venv
	$(CARGO) build --workspace --all-targets --features $(FAULTS)
	SWIFT_SOAK=1 $(CARGO) test --workspace --features $(FAULTS) --test faults -- --nocapture
	SWIFT_SOAK=1 $(CARGO) test -p swift-serve --test serve runtimes -- --nocapture

# The inputs that are found lie below target/fuzz/, and what makes a property fail in
# tests/fuzz/targets/artifacts/. Without a sanitizer the stable toolchain does.
fuzz:
	for name in $(FUZZ); do \
		$(CARGO) run --quiet --package swift-fuzz --bin fuzz-corpus -- \
			unpack $$name $(TARGET_DIR)/fuzz/$$name && \
		$(CARGO) fuzz run --fuzz-dir tests/fuzz/targets --sanitizer none $$name \
			$(TARGET_DIR)/fuzz/$$name -- -max_total_time=$(FUZZ_SECONDS) -timeout=60 \
			-rss_limit_mb=1024 -max_len=4096 || exit 1; \
	done

growth:
	$(CARGO) build --release --package swift-fuzz --bin fuzz-growth
	tests/fuzz/growth "$(TARGET_DIR)/release/fuzz-growth"

# CHART=FILE writes the chart anew: make bench CHART=tests/bench/chart.svg
# BEFORE=FILE plays another build's swift-init in the same rounds, for a ratio of the two.
bench: all venv
	python3 tests/bench/bench.py --ours "$(RELEASE)/swift-init" --original "$(SWIFT_VENV)/bin/swift-init" \
		$(if $(CHART),--chart "$(CHART)") $(if $(BEFORE),--before "$(BEFORE)")

bench-growth: all
	python3 tests/bench/bench.py --ours "$(RELEASE)/swift-init" --growth

bench-reload: all venv
	"$(SWIFT_VENV)/bin/python3" tests/bench/reload.py "$(RELEASE)/swift-init"

# Beside nginx, HAProxy and gunicorn, in four minutes: tests/bench/README.md says what is measured.
bench-serve: all venv
	tests/bench/setup-peers
	python3 tests/bench/serve.py --tools "$(RELEASE)" --gunicorn "$(SWIFT_VENV)/bin/gunicorn"

demo: all
	$(CARGO) build --package test-helpers
	PATH="$(RELEASE):$(TARGET_DIR)/debug:$$PATH" tests/lab/demo-serve

demo-swift: all venv
	PATH="$(RELEASE):$$PATH" tests/lab/demo "$(SWIFT_VENV)"

# Whether what `make` built is there and whole, of these sources, and for this machine (or for the one that
# HOST names).
installable:
	@refuse() { echo "make install: $$*" >&2; exit 1; }; \
	[ -e "$(BUILT)" ] || refuse "nothing is built in $(TARGET_DIR): run make first, as a user who has cargo"; \
	cd "$(TARGET_DIR)" && sha256sum --check --status "$(BUILT)" || \
		refuse "the programs in $(TARGET_DIR) are not those that make built there: run make again"; \
	cd "$(CURDIR)" && newer=$$(find Cargo.toml Cargo.lock shared tools \
		\( -name tests -o -name completions -o -name systemd -o -name '*.d' \) -prune -o -type f -newer "$(BUILT)" -print -quit); \
	[ -z "$$newer" ] || refuse "$$newer was changed after the last make: run make again"; \
	built=$$(sed -n '1s,^[^ ]*  *\(.*\),\1,p' "$(BUILT)"); \
	case "$(NAMED_HOST)" in \
	'') "$(TARGET_DIR)/$$built" --help >/dev/null 2>&1 || refuse "$$built does not run here: run make on this machine" ;; \
	"$${built%%/*}") ;; \
	*) refuse "the last make was not for $(NAMED_HOST): run make HOST=$(NAMED_HOST) first" ;; \
	esac

install: installable
	install -d "$(DESTDIR)$(BINDIR)" $(addprefix "$(DESTDIR)$(MANDIR)"/man,1 5 7)
	install -m 755 $(addprefix "$(TARGET_DIR)"/,$(TO_INSTALL)) "$(DESTDIR)$(BINDIR)"
	for page in $(PAGES); do \
		installed="$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; \
		sed $(OWN_PATHS) -e 's,/usr/lib/systemd/system,$(UNITDIR),' "$$page" >"$$installed" || exit; \
		chmod 644 "$$installed" || exit; \
	done
	install -d "$(DESTDIR)$(UNITDIR)"
	for unit in $(notdir $(UNITS)); do \
		sed $(OWN_PATHS) "shared/installed/systemd/$$unit" >"$(DESTDIR)$(UNITDIR)/$$unit" || exit; \
	done
	install -d "$(DESTDIR)$(TMPFILESDIR)" "$(DESTDIR)$(SYSUSERSDIR)" "$(DESTDIR)$(SYSCTLDIR)"
	install -m 644 shared/installed/tmpfiles.d/*.conf "$(DESTDIR)$(TMPFILESDIR)"
	install -m 644 shared/installed/sysusers.d/*.conf "$(DESTDIR)$(SYSUSERSDIR)"
	install -m 644 shared/installed/sysctl.d/*.conf "$(DESTDIR)$(SYSCTLDIR)"
	install -d $(addprefix "$(DESTDIR)$(PREFIX)"/share/,$(COMPLETIONS))
	install -m 644 $(wildcard shared/installed/completions/*.fish) "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	install -m 644 $(wildcard shared/installed/completions/_*) "$(DESTDIR)$(PREFIX)/share/zsh/site-functions"
	for tool in $(TOOLS); do install -m 644 "shared/installed/completions/$$tool.bash" \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$tool" || exit 1; done

dist:
	mkdir -p dist
	git archive --prefix=swift-init-$(VERSION)/ -o dist/swift-init-$(VERSION).tar.gz HEAD

clean:
	$(CARGO) clean
	rm -rf dist
