#!/bin/sh
# Random QONNX networks with known outputs into target/qonnx, by Python tools in target/qonnx-venv.
# Arguments go to random_mlp.py, for example: --count 1000 --seed 2
set -e
cd "$(dirname "$0")/../.."
venv=target/qonnx-venv
if ! [ -e $venv/ready ]; then
    python3 -m venv $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/qonnx/requirements.txt
    touch $venv/ready
fi
exec $venv/bin/python tests/qonnx/random_mlp.py target/qonnx "$@"
