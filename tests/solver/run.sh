#!/bin/sh
# A second opinion on the proof: z3, by yosys-smtbmc, on the scripts that `snug generate` writes, base case and induction.
# One module of each kind: top, unit, width converter, label selector and a processing element without thresholds of the digits; an
# element with thresholds, an input map and a FIFO of two small random networks (the digits' own take z3 too long: docs/proof.md).
# A module that z3 does not prove, or a missing solver, is a failure.
#   tests/solver/run.sh SNUG [MODEL MODULE...]
set -eu
snug=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in yosys yosys-smtbmc z3; do
    command -v $tool >/dev/null || { echo "second solver: $tool is missing (apt-get install yosys z3)" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

# prove MODEL MODULE...
prove() {
    folder=$work/$(basename "$1" .onnx)
    "$snug" generate "$1" -o "$folder" --output label -q
    shift
    for module in "$@"; do
        script=$folder/proof/$module.ys
        [ -f "$script" ] || { echo "second solver: no script proof/$module.ys" >&2; exit 1; }
        # The same design and the same counts of claims; only the solver is another.
        { grep -v '^sat ' "$script"; printf 'dffunmap\nwrite_smt2 -wires %s/model.smt2\n' "$work"; } >"$work/model.ys"
        (cd "$folder" && yosys -Q -T -q -s "$work/model.ys")
        steps=$(sed -n 's/^sat .*-maxsteps \([0-9]*\).*/\1/p' "$script")
        # One problem of bit vectors after the other, functions unrolled: asked step by step, z3 does not come to an end.
        smtbmc="yosys-smtbmc -s z3 --unroll --noincr"
        start=$(date +%s)
        # smtbmc tries every length up to the last, as the script's own solver does.
        if $smtbmc -t "$steps" "$work/model.smt2" >"$work/base" 2>&1 &&
            $smtbmc -t "$steps" -i "$work/model.smt2" >"$work/step" 2>&1 &&
            grep -q 'Status: PASSED' "$work/base" && grep -q 'Status: PASSED' "$work/step"; then
            echo "$module: proved by z3 in $(($(date +%s) - start)) s"
        else
            echo "$module: NOT proved by z3"
            tail -n 5 "$work/base" "$work/step" || true
            bad=1
        fi
    done
}

if [ $# -gt 0 ]; then
    prove "$@"
else
    prove "$root/examples/digits/digits.onnx" digits digits_fc3 digits_norm2_width_claims digits_label_select digits_fc3_pe0
    prove "$root/tests/qonnx/frozen/net002.onnx" net002_input_map net002_MatMul_0_pe0
    prove "$root/tests/qonnx/frozen/net000.onnx" net000_classifier_dense2_fifo_claims
fi
exit $bad
