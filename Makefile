# What a person who has just cloned snug runs. `make help` lists the targets.

CARGO ?= cargo
TIME  := date +%s
# What `make test` tests: the crates that snug is built of. `TESTS=--workspace` adds the second opinion and the trainer, in one build.
TESTS ?=

# Debian's packages of the tools beside snug: a command, and the package that brings it.
TOOLS := verilator:verilator yosys:yosys iverilog:iverilog g++:g++

.PHONY: help setup build demo test lint bench bench-luts scale calibrate doc second-opinion second-solver mutants prove-image gates qonnx trainer bench-mnist bench-mnist-cnn bench-mnist-hardware brevitas bench-train-speed browser snakemake figure clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install Verilator, Yosys, Icarus and a C++ compiler by apt, where they are missing
	@missing=; \
	for tool in $(TOOLS); do \
	    command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	echo "missing:$$missing"; \
	root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	if ! command -v apt-get >/dev/null || { [ -n "$$root" ] && ! command -v sudo >/dev/null; }; then \
	    echo "please install them (Debian, Ubuntu: apt-get install$$missing), then run make again" >&2; exit 1; \
	fi; \
	$$root apt-get update -qq && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing

build: ## Build snug: target/release/snug
	@start=$$($(TIME)); $(CARGO) build --release --bin snug && echo "built in $$(($$($(TIME)) - start)) s"

demo: setup build ## The digits network, from QONNX to Verilog that equals it
	@start=$$($(TIME)); target="$${CARGO_TARGET_DIR:-target}"; \
	"$$target/release/snug" demo && echo "demo in $$(($$($(TIME)) - start)) s"

test: setup ## All tests; SNUG_ZOO=FOLDER adds those on real networks (FOLDER/models, FOLDER/data)
	$(CARGO) test $(TESTS)

second-opinion: setup ## FIFO, skid and credit against their twins in rust-hdl
	$(CARGO) test -p second-opinion

second-solver: build ## The proof again by z3: one module of each kind (apt-get install z3)
	tests/solver/run.sh target/release/snug

trainer: ## Tests of `snug train`: gradients, methods, resuming (builds burn)
	$(CARGO) test -p trainer

bench-mnist: ## Accuracy against accumulator width on MNIST, all methods: SNUG_ZOO=FOLDER make bench-mnist
	$(CARGO) bench -p trainer --bench mnist

bench-mnist-cnn: ## The same for a small convolutional network: SNUG_ZOO=FOLDER make bench-mnist-cnn
	$(CARGO) bench -p trainer --bench mnist_cnn

bench-mnist-hardware: ## Those perceptrons clock by clock over the test set: SNUG_ZOO=FOLDER make bench-mnist-hardware
	$(CARGO) bench -p trainer --bench mnist_hardware

brevitas: build ## The sign-split quantizer for Brevitas: its tests, and small trainings through snug (PYTHON, or a venv by pip)
	@python=$$(examples/brevitas/python.sh) || exit 0; target="$${CARGO_TARGET_DIR:-target}"; \
	PYTHONDONTWRITEBYTECODE=1 "$$python" examples/brevitas/test.py "$$target/release/snug"

bench-train-speed: ## Samples a second in training, snug beside Brevitas in one run (PYTHON, or a venv by pip)
	@python=$$(examples/brevitas/python.sh) || exit 0; $(CARGO) bench -p trainer --bench speed --no-run && \
	PYTHONDONTWRITEBYTECODE=1 "$$python" benches/brevitas/speed.py

mutants: setup ## 330 mutants of the digits by Yosys: caught by the proof, by simulation, or shown equivalent
	$(CARGO) bench --bench mutants

prove-image: setup ## The claims of convolution's modules on small networks, and their mutants
	$(CARGO) test -p sim --test prove_image -- --include-ignored

gates: build ## The digits' LUT netlist in Icarus, against the RTL's testbench
	tests/gates/run.sh target/release/snug

browser: build ## The pages in headless Chromium: screenshots in target/browser, no console messages
	tests/browser/run.sh "$${CARGO_TARGET_DIR:-target}/release/snug"

snakemake: build ## A sweep by Snakemake equals the built-in run (installs Snakemake into target/snakemake by pip)
	tests/snakemake/run.sh "$${CARGO_TARGET_DIR:-target}/release/snug"

figure: setup ## Accuracy against accumulator width and LUTs, trained on MNIST: SNUG_ZOO=FOLDER make figure (an hour or more)
	$(CARGO) build --release --features train --bin snug
	tests/figure/run.sh "$${CARGO_TARGET_DIR:-target}/release/snug" --synth

lint: ## Formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --features train --bin snug -- -D warnings

bench: setup ## Clocks a second of cycle engine and Verilator; time of projecting a layer of 4096 x 4096 weights
	$(CARGO) bench --bench speed
	$(CARGO) bench -p quantizer --bench weights

bench-luts: setup ## LUTs: MAC arrays against the best peers, estimate against Yosys
	$(CARGO) bench --bench arrays
	$(CARGO) bench --bench widths
	$(CARGO) bench --bench luts

scale: ## A network like ResNet-18 to Verilog with time and memory; queue sizing; cycles by formula and by simulation
	$(CARGO) bench --bench scale

calibrate: setup ## Yosys over the designs drawn for it, module by module: what the estimate's numbers are fitted to
	$(CARGO) bench --bench calibrate

doc: ## API documentation: target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --workspace --exclude second-opinion

qonnx: ## 200 random perceptrons and 200 convolutional networks against qonnx's own executor (needs python3-venv and a pip install)
	tests/qonnx/run.sh
	SNUG_QONNX=$(CURDIR)/target/qonnx $(CARGO) test --test qonnx -- --nocapture

clean: ## Remove what was built
	$(CARGO) clean
