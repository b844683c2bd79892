#!/usr/bin/env bash
# The A2Q+ paper's figure on MNIST with training: SNUG_ZOO=FOLDER tests/figure/run.sh SNUG [MORE ARGUMENTS OF snug sweep]
#
# 784-64-64-64-10, 4-bit weights and activations, one seed, 8 to 16 bits, LUTs by Yosys. Results and page in target/figure; a run that was
# stopped goes on where it was.
set -euo pipefail
snug=$(realpath "$1")
shift
cd "$(dirname "$0")/../.."
if [ -z "${SNUG_ZOO:-}" ]; then
    echo "SKIPPED: MNIST is in data/mnist of the folder SNUG_ZOO; set SNUG_ZOO" >&2
    exit 0
fi
mnist=$(realpath "$SNUG_ZOO/data/mnist")
mkdir -p target/figure
cat >target/figure/mnist.toml <<CONFIG
[network]
hidden = [64, 64, 64]
weight_bits = 4
activation_bits = 4
input_bits = 4

[accumulator]
method = "unconstrained"

[training]
learning_rate = 0.004
seed = 0

[data]
train = "$mnist/train-images-idx3-ubyte.gz"
train_labels = "$mnist/train-labels-idx1-ubyte.gz"
test = "$mnist/t10k-images-idx3-ubyte.gz"
test_labels = "$mnist/t10k-labels-idx1-ubyte.gz"
CONFIG
"$snug" sweep target/figure/mnist.toml --train --accumulator 8..=16 --methods a2q,a2q+,sign-split \
    --foldings interval=196 "$@" -o target/figure/sweep
