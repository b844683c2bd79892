#!/bin/sh
# Prints a Python that has what requirements.txt names: $PYTHON if it does, else that of target/brevitas-venv, which is made by pip. Exit 1 with
# a loud line if there is none to be had.
cd "$(dirname "$0")/../.." || exit 2
has() { "$1" -c 'import brevitas, onnxoptimizer, onnxscript, sklearn, torch' 2>/dev/null; }
if [ -n "$PYTHON" ]; then
    has "$PYTHON" && { command -v "$PYTHON"; exit 0; }
    echo "SKIPPED: PYTHON=$PYTHON cannot import brevitas, onnxoptimizer, onnxscript, sklearn and torch" >&2
    exit 1
fi
venv=$PWD/target/brevitas-venv
if ! [ -e "$venv/ready" ]; then
    mkdir -p target
    { python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r examples/brevitas/requirements.txt; } >&2 \
        && touch "$venv/ready"
fi
if [ -e "$venv/ready" ]; then
    echo "$venv/bin/python"
else
    echo "SKIPPED: no torch: pip could not install examples/brevitas/requirements.txt (or PYTHON=a Python that has it)" >&2
    exit 1
fi
