#!/bin/sh
# A second opinion on the proof: z3, by yosys-smtbmc, on the scripts that `snug generate` writes, base case and induction.
# One module of each kind of the digits: top, unit, width converter, label selector, processing element with and without thresholds.
# A module that z3 does not prove, or a missing solver, is a failure. Names of modules ask for those instead.
#   tests/solver/run.sh SNUG [MODULE...]
set -eu
snug=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in yosys yosys-smtbmc z3; do
    command -v $tool >/dev/null || { echo "second solver: $tool is missing (apt-get install yosys z3)" >&2; exit 1; }
done
[ $# -gt 0 ] || set -- digits digits_fc3 digits_norm2_width_claims digits_label_select digits_norm2_pe0 digits_fc3_pe0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$snug" generate "$root/examples/digits/digits.onnx" -o "$work/digits" --output label -q
cd "$work/digits"
bad=0
for module in "$@"; do
    [ -f "proof/$module.ys" ] || { echo "second solver: no script proof/$module.ys" >&2; exit 1; }
    # The same design and the same counts of claims; only the solver is another.
    { grep -v '^sat ' "proof/$module.ys"; printf 'dffunmap\nwrite_smt2 -wires %s/model.smt2\n' "$work"; } >"$work/model.ys"
    yosys -Q -T -q -s "$work/model.ys"
    steps=$(sed -n 's/^sat .*-maxsteps \([0-9]*\).*/\1/p' "proof/$module.ys")
    # One problem of bit vectors after the other, functions unrolled: asked step by step, z3 does not come to an end.
    smtbmc="yosys-smtbmc -s z3 --unroll --noincr"
    # smtbmc tries every length up to the last, as the script's own solver does.
    if $smtbmc -t "$steps" "$work/model.smt2" >"$work/base" 2>&1 &&
        $smtbmc -t "$steps" -i "$work/model.smt2" >"$work/step" 2>&1 &&
        grep -q 'Status: PASSED' "$work/base" && grep -q 'Status: PASSED' "$work/step"; then
        echo "$module: proved by z3"
    else
        echo "$module: NOT proved by z3"
        tail -n 5 "$work/base" "$work/step" || true
        bad=1
    fi
done
exit $bad
