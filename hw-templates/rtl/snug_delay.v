// snug_delay: a shift register for the control bits that travel beside a fixed-latency pipeline.
//
// Latency     CYCLES.
// Reset       RESET = 1 clears all stages while aresetn is low (valid bits: a reset drops what is in flight);
//             RESET = 0 leaves them alone (indices that mean something only beside a valid bit).

`default_nettype none

module snug_delay #(
    parameter WIDTH  = 1,   // bits, >= 1
    parameter CYCLES = 1,   // stages, >= 1
    parameter RESET  = 1    // whether aresetn clears the stages
) (
    input  wire             aclk,
    input  wire             aresetn,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
`ifdef FORMAL
    , output wire [WIDTH*CYCLES-1:0] f_stages   // all stages, for the claims of whoever uses the line
`endif
);

    // Stage 0 in the low bits; `line` is the input with the stages it goes through.
    reg  [WIDTH*CYCLES-1:0]     stage_reg;
    wire [WIDTH*(CYCLES+1)-1:0] line = {stage_reg, d};

    assign q = line[WIDTH*(CYCLES+1)-1 -: WIDTH];

    always @(posedge aclk) begin
        stage_reg <= line[WIDTH*CYCLES-1:0];

        // With RESET = 0 the reset is not part of the circuit.
        if ((RESET != 0) & ~aresetn)
            stage_reg <= {WIDTH*CYCLES{1'b0}};
    end

`ifdef FORMAL
    assign f_stages = stage_reg;

    // After an edge with aresetn low nothing of what came in before is left, where that is promised.
    reg f_cleared = 1'b0;
    always @(posedge aclk) f_cleared <= ~aresetn;
    always @* if (f_cleared & (RESET != 0))
        assert (stage_reg == {WIDTH*CYCLES{1'b0}});
`endif

endmodule

`default_nettype wire
