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
    // What came in as number f_index (modulo more than the stages hold) comes out CYCLES edges later, unless a reset that
    // clears the stages lay between. f_age is how long ago it came in; it stops counting where it has come out.
    wire [31:0] f_start = $anyconst;
    reg  [31:0] f_edge = 32'd0;
    reg  [WIDTH-1:0] f_data;
    reg         f_inside = 1'b0;
    reg  [31:0] f_age;

    always @(posedge aclk) begin
        f_edge <= f_edge + 1'b1;
        f_age  <= f_age + 1'b1;
        if ((f_edge == f_start) & ~f_inside) begin
            f_inside <= 1'b1;
            f_data   <= d;
            f_age    <= 32'd0;
        end
        if (f_inside & (f_age == CYCLES - 1))
            f_inside <= 1'b0;
        if ((RESET != 0) & ~aresetn)
            f_inside <= 1'b0;
    end

    always @* if (f_inside) begin
        assert (f_age < CYCLES);
        assert (stage_reg[f_age*WIDTH +: WIDTH] == f_data);
        if (f_age == CYCLES - 1)
            assert (q == f_data);
    end
`endif

endmodule

`default_nettype wire
