#!/bin/sh
# Gate level: the LUTs, carry chains and flip-flops that synth_xilinx makes of the digits, and synth_ecp5 of its own back-end's, in
# Icarus with Yosys' models of the cells, against the testbench that the RTL passes (four stall patterns, a reset in mid-frame, no
# unknown value).
#   tests/gates/run.sh SNUG        the path of the binary
set -eu
snug=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in yosys iverilog vvp; do
    command -v $tool >/dev/null || { echo "gate level: $tool is missing; make setup installs it" >&2; exit 1; }
done
share=$(dirname "$(dirname "$(command -v yosys)")")/share/yosys
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# netlist DEVICE BACKEND SYNTHESIS: as `snug synth` calls it.
netlist() {
    device=$1 backend=$2 synthesis=$3 folder=$work/$1
    cells=$share/$device/cells_sim.v
    [ -f "$cells" ] || { echo "gate level: no cell models at $cells" >&2; exit 1; }
    "$snug" generate "$root/examples/digits/digits.onnx" -o "$folder" --backend "$backend" --output label -q >/dev/null
    cd "$folder"
    yosys -Q -T -q -p "read_verilog rtl/*.v; $synthesis -top digits; write_verilog -noattr $folder.v"
    iverilog -g2005-sv -I "$share/$device" -o "$folder.vvp" -s digits_tb tb/testbench.v "$folder.v" "$cells"
    echo "$synthesis"
    vvp "$folder.vvp" | tee "$folder.log"
    # The simulator's status says nothing of the testbench's verdict.
    grep -q '^PASS: digits' "$folder.log"
}
netlist xilinx generic "synth_xilinx -flatten"
netlist ecp5 ecp5 "synth_ecp5 -nodsp -abc9"
