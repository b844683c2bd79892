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
);

    reg [WIDTH-1:0] stage_reg [0:CYCLES-1];
    integer i;

    // With RESET = 0 the reset is not part of the circuit.
    wire clear = (RESET != 0) & ~aresetn;

    assign q = stage_reg[CYCLES-1];

    always @(posedge aclk) begin
        stage_reg[0] <= clear ? {WIDTH{1'b0}} : d;
        for (i = 1; i < CYCLES; i = i + 1)
            stage_reg[i] <= clear ? {WIDTH{1'b0}} : stage_reg[i-1];
    end

endmodule

`default_nettype wire
