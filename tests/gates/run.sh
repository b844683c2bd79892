#!/bin/sh
# Gate level: the LUTs, carry chains and flip-flops that synth_xilinx makes of the digits, in Icarus with Yosys' models
# of the cells, against the testbench that the RTL passes (four stall patterns, a reset in mid-frame, no unknown value).
#   tests/gates/run.sh SNUG        the path of the binary
set -eu
snug=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in yosys iverilog vvp; do
    command -v $tool >/dev/null || { echo "gate level: $tool is missing; make setup installs it" >&2; exit 1; }
done
cells=$(dirname "$(dirname "$(command -v yosys)")")/share/yosys/xilinx/cells_sim.v
[ -f "$cells" ] || { echo "gate level: no cell models at $cells" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$snug" generate "$root/examples/digits/digits.onnx" -o "$work/digits" -q
cd "$work/digits"
yosys -Q -T -q -p "read_verilog rtl/*.v; synth_xilinx -flatten -top digits; write_verilog -noattr $work/netlist.v"
iverilog -g2005-sv -o "$work/gates.vvp" -s digits_tb tb/testbench.v "$work/netlist.v" "$cells"
vvp "$work/gates.vvp" | tee "$work/log"
# The simulator's status says nothing of the testbench's verdict.
grep -q '^PASS: digits' "$work/log"
