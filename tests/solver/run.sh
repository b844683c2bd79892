#!/bin/sh
# A second opinion on the proof: z3, by yosys-smtbmc, on the scripts that `snug generate` writes, base case and induction.
# One module of each kind: top, unit, width converter, label selector and a processing element without thresholds of the digits; an
# element with thresholds, an input map and a FIFO of two small random networks (the digits' own take z3 too long: docs/proof.md);
# what convolutions add (window, pool by maximum and by sum, sum of branches, fork, rows of an upsampling, concatenation), of
# five small random convolutional networks; with SNUG_ZOO each kind of TFC_2W2A and kwsmlp_w3a3 at FINN's foldings; and what `xc7` adds: rows of a bit heap and of an unrolled array, an element over each.
# A module that z3 does not prove, or a missing solver, is a failure.
#   tests/solver/run.sh SNUG [MODEL OPTIONS MODULE...]     OPTIONS of `snug generate`, one word: --output=label
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

# prove MODEL OPTIONS MODULE...
prove() {
    folder=$work/$(basename "$1" .onnx)$(echo "$2" | tr -cd a-z0-9)
    # The options are words: they are meant to be split.
    # shellcheck disable=SC2086
    "$snug" generate "$1" -o "$folder" $2 -q >/dev/null
    shift 2
    for module in "$@"; do
        script=$folder/proof/$module.ys
        [ -f "$script" ] || { echo "second solver: no script proof/$module.ys" >&2; exit 1; }
        # The same design and the same counts of claims; only the solver is another. Claims in groups are proved all at once here: what
        # holds of each group after those before it holds of all together.
        { sed '/^design -save whole/,$d' "$script" | grep -v '^sat '
          printf 'dffunmap\nwrite_smt2 -wires %s/model.smt2\n' "$work"; } >"$work/model.ys"
        (cd "$folder" && yosys -Q -T -q -s "$work/model.ys")
        # One problem of bit vectors after the other, functions unrolled: asked step by step, z3 does not come to an end.
        smtbmc="yosys-smtbmc -s z3 --unroll --noincr"
        start=$(date +%s)
        # The shortest induction that serves, and a base case of its length.
        proved=
        for steps in 1 2 4 12; do
            $smtbmc -t "$steps" -i "$work/model.smt2" >"$work/step" 2>&1 && grep -q 'Status: PASSED' "$work/step" || continue
            $smtbmc -t "$((steps + 1))" "$work/model.smt2" >"$work/base" 2>&1 && grep -q 'Status: PASSED' "$work/base" && proved=$steps
            break
        done
        if [ -n "$proved" ]; then
            echo "$module: proved by z3 in $(($(date +%s) - start)) s, induction of $proved"
        else
            echo "$module: NOT proved by z3"
            tail -n 5 "$work/base" "$work/step" 2>/dev/null || true
            bad=1
        fi
    done
}

if [ $# -gt 0 ]; then
    prove "$@"
else
    label=--output=label
    prove "$root/examples/digits/digits.onnx" $label digits digits_fc3 digits_norm2_width_claims digits_label_select digits_fc3_pe0
    small=$root/tests/qonnx/frozen
    prove "$small/net002.onnx" $label net002_input_map net002_MatMul_0_pe0
    # Five lanes, seven folds, thresholds behind an adder tree.
    prove "$small/net002.onnx" "$label --target-interval=16" net002_MatMul_0_pe0
    prove "$small/net000.onnx" $label net000_classifier_dense2_fifo_claims
    prove "$small/net002.onnx" "$label --backend=xc7" net002_snug_xc7_row_7x3 net002_MatMul_0_pe0
    prove "$small/net002.onnx" "$label --backend=xc7 --target-interval=1" net002_array_row_7x3 net002_MatMul_0_pe0 net002_MatMul_0
    images=$small/convolutions
    prove "$images/cnn157.onnx" --output=logits cnn157_conv_0_window_claims cnn157_MaxPool_0_pool_claims
    prove "$images/cnn031.onnx" --output=logits cnn031_Sum_0_add_claims cnn031_Sum_0_fork_claims cnn031_Sum_0_map
    prove "$images/cnn173.onnx" --output=logits cnn173_Upsample_0_rows_claims
    prove "$images/cnn081.onnx" --output=logits cnn081_Concat_0_concat_claims
    prove "$images/cnn120.onnx" --output=logits cnn120_GlobalAveragePool_0_pool_claims
    if [ -n "${SNUG_ZOO:-}" ]; then
        foldings=$root/examples/foldings
        prove "$SNUG_ZOO/models/TFC_2W2A.onnx" "$label --folding=$foldings/TFC_2W2A.json" tfc_2w2a tfc_2w2a_input_map tfc_2w2a_features_7_width_claims \
            tfc_2w2a_features_7 tfc_2w2a_features_15_pe0 tfc_2w2a_features_7_pe0 tfc_2w2a_features_3 tfc_2w2a_features_3_pe0
        prove "$SNUG_ZOO/models/kwsmlp_w3a3.onnx" "--folding=$foldings/kwsmlp_w3a3.json" kwsmlp_w3a3 kwsmlp_w3a3_MatMul_50 kwsmlp_w3a3_features_8 \
            kwsmlp_w3a3_features_8_width_claims
    else
        echo "SKIPPED: TFC_2W2A and kwsmlp_w3a3 are in models of the folder SNUG_ZOO; set SNUG_ZOO" >&2
    fi
fi
exit $bad
