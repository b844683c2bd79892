#!/usr/bin/env bash
# The pages in a real browser: tests/browser/run.sh SNUG
#
# Opens the page of a sweep and that of a generated folder in a headless Chromium, keeps screenshots and printed pages in target/browser, and
# fails if the browser's console has anything to say. With TFC_2W2A and MNIST in the folder SNUG_ZOO the page of their sweep, too.
set -euo pipefail
snug=$(realpath "$1")
cd "$(dirname "$0")/../.."

browser=
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then browser=$name; break; fi
done
if [ -z "$browser" ]; then
    echo "SKIPPED: the pages were not opened in a browser: there is no Chromium (apt-get install chromium)" >&2
    exit 0
fi

out=$PWD/target/browser
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# open PAGE ARGUMENTS...: the console's messages go to $work/console.
open() {
    local page=$1 profile
    shift
    profile=$(mktemp -d -p "$work")
    "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$profile" --enable-logging=stderr "$@" "file://$page" \
        >"$work/dom" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    grep 'CONSOLE' "$work/log" >"$work/console" || true
}

# First that an error would be seen.
echo '<!DOCTYPE html><title>x</title><script>console.error("seen")</script>' >"$work/broken.html"
open "$work/broken.html" --dump-dom
grep -q seen "$work/console" || { echo "the console of $browser cannot be read" >&2; exit 1; }

examples=$PWD/examples/digits
(
    cd "$work"
    "$snug" -q sweep "$examples/digits.onnx" --inputs "$examples/test_inputs.npy" --labels "$examples/test_labels.npy" -o sweep
    "$snug" -q generate "$examples/digits.onnx" -o network
) >"$work/text"
cp "$work/sweep/accuracy.png" "$work/sweep/luts.png" "$out"
pages=(sweep network)
if [ -n "${SNUG_ZOO:-}" ]; then
    zoo=$(realpath "$SNUG_ZOO")
    mnist=$zoo/data/mnist
    (
        cd "$work"
        "$snug" -q sweep "$zoo/models/TFC_2W2A.onnx" --inputs "$mnist/t10k-images-idx3-ubyte.gz" \
            --labels "$mnist/t10k-labels-idx1-ubyte.gz" --calibration "$mnist/train-images-idx3-ubyte.gz" -o sweep-tfc
    ) >"$work/text"
    pages+=(sweep-tfc)
else
    echo "SKIPPED: the page of TFC_2W2A's sweep; model and MNIST are in the folder SNUG_ZOO; set SNUG_ZOO" >&2
fi

for page in "${pages[@]}"; do
    file=$work/$page/report.html
    open "$file" --hide-scrollbars --window-size=1280,4000 --screenshot="$out/$page.png"
    cat "$work/console" >"$work/all"
    open "$file" --hide-scrollbars --window-size=500,4000 --screenshot="$out/$page-narrow.png"
    cat "$work/console" >>"$work/all"
    open "$file" --no-pdf-header-footer --print-to-pdf="$out/$page.pdf"
    cat "$work/console" >>"$work/all"
    open "$file" --dump-dom
    grep -q '<figure><svg' "$work/dom" || { echo "$page: the browser shows no plot" >&2; exit 1; }
    if [ -s "$work/all" ]; then
        echo "$page: the console is not empty:" >&2
        cat "$work/all" >&2
        exit 1
    fi
    echo "$page: no message on the console; target/browser/$page.png, $page-narrow.png, $page.pdf"
done
