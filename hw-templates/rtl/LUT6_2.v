// LUT6_2: the 7-series look-up table with two outputs, for simulation and proof alone.
//
// Synthesis has its own: every synthesizer defines SYNTHESIS, and then this file is empty. O5 reads the low half of INIT, O6 all
// of it. An unknown input leaves an output known where both values agree, as in the silicon.

`ifndef SYNTHESIS
`ifndef SNUG_LUT6_2
`define SNUG_LUT6_2

`default_nettype none

module LUT6_2 #(
    parameter [63:0] INIT = 64'h0
) (
    input  wire I0,
    input  wire I1,
    input  wire I2,
    input  wire I3,
    input  wire I4,
    input  wire I5,
    output wire O5,
    output wire O6
);

    // Low half: bit 4 of the address first, then down to bit 0.
    wire [15:0] l4 = I4 ? INIT[31:16] : INIT[15:0];
    wire [7:0]  l3 = I3 ? l4[15:8] : l4[7:0];
    wire [3:0]  l2 = I2 ? l3[7:4] : l3[3:0];
    wire [1:0]  l1 = I1 ? l2[3:2] : l2[1:0];
    wire        l0 = I0 ? l1[1] : l1[0];

    wire [15:0] h4 = I4 ? INIT[63:48] : INIT[47:32];
    wire [7:0]  h3 = I3 ? h4[15:8] : h4[7:0];
    wire [3:0]  h2 = I2 ? h3[7:4] : h3[3:0];
    wire [1:0]  h1 = I1 ? h2[3:2] : h2[1:0];
    wire        h0 = I0 ? h1[1] : h1[0];

    assign O5 = l0;
    assign O6 = I5 ? h0 : l0;

endmodule

`default_nettype wire

`endif
`endif
