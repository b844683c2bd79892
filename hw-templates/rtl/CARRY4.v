// CARRY4: four bits of the 7-series carry chain, for simulation and proof alone (see LUT6_2.v).

`ifndef SYNTHESIS
`ifndef SNUG_CARRY4
`define SNUG_CARRY4

`default_nettype none

module CARRY4 (
    output wire [3:0] CO,
    output wire [3:0] O,
    input  wire       CI,
    input  wire       CYINIT,
    input  wire [3:0] DI,
    input  wire [3:0] S
);

    // At most one of the two is used; the other is 0.
    wire c0 = CI | CYINIT;
    wire c1 = S[0] ? c0 : DI[0];
    wire c2 = S[1] ? c1 : DI[1];
    wire c3 = S[2] ? c2 : DI[2];
    wire c4 = S[3] ? c3 : DI[3];

    assign O  = S ^ {c3, c2, c1, c0};
    assign CO = {c4, c3, c2, c1};

endmodule

`default_nettype wire

`endif
`endif
