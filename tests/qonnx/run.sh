#!/bin/sh
# Random QONNX networks with known outputs into target/qonnx (perceptrons) and target/qonnx/convolutions, by Python tools in
# target/qonnx-venv, or by PYTHON where that is set. Arguments go to both generators, for example: --count 1000 --seed 2
set -e
cd "$(dirname "$0")/../.."
venv=target/qonnx-venv
if [ -z "$PYTHON" ] && ! [ -e $venv/ready ]; then
    python3 -m venv $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/qonnx/requirements.txt
    touch $venv/ready
fi
python=${PYTHON:-$venv/bin/python}
"$python" tests/qonnx/random_mlp.py target/qonnx "$@"
"$python" tests/qonnx/random_cnn.py target/qonnx/convolutions "$@"
