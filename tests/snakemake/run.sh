#!/usr/bin/env bash
# A sweep run by Snakemake equals the built-in run byte for byte: tests/snakemake/run.sh SNUG
#
# Takes the Snakemake of SNAKEMAKE or of PATH, else installs one into a virtual environment in target/snakemake.
set -euo pipefail
snug=$(realpath "$1")
cd "$(dirname "$0")/../.."
snakemake=${SNAKEMAKE:-$(command -v snakemake || true)}
if [ -z "$snakemake" ]; then
    snakemake=$PWD/target/snakemake/bin/snakemake
    if [ ! -x "$snakemake" ]; then
        python3 -m venv target/snakemake
        target/snakemake/bin/pip install --quiet --requirement tests/snakemake/requirements.txt
    fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp examples/digits/{digits.onnx,test_inputs.npy,test_labels.npy} "$work"
cd "$work"
sweep() {
    "$snug" -q sweep digits.onnx --inputs test_inputs.npy --labels test_labels.npy --accumulator 7..=10 \
        --methods a2q,a2q+,sign-split,grid-rescale --foldings default,interval=16 "$@"
}
sweep -o built-in >text
sweep -o snake --workflow snakemake >text
# The folder's name is part of the command, which stands on the page alone.
"$snakemake" --quiet all --cores 2 --snakefile snake/Snakefile --config snug="$snug"
jobs=$(grep -c '^    "[0-9a-f]\{64\}"' snake/Snakefile)
points=$(ls snake/points/*.json | wc -l)
for file in results.json results.csv accuracy.svg accuracy.png luts.svg sparsity.svg; do
    cmp "built-in/$file" "snake/$file"
done
for point in built-in/points/*.json; do
    cmp "$point" "snake/points/$(basename "$point")"
done
# Nothing is left to do.
"$snakemake" --cores 1 --snakefile snake/Snakefile --config snug="$snug" 2>&1 | grep -q 'Nothing to be done'
echo "Snakemake $("$snakemake" --version): $jobs jobs, $points points; results, plots and points equal those of the built-in run"
