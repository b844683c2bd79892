// snug_xc7_row: a row of a bit heap on the 7-series carry chain: one LUT6_2 a column, a CARRY4 every four.
//
// Two terms a column (TERNARY = 0): O5 is one term, O6 the XOR of both.
//     carry_in + terms = sum + 2^WIDTH carry
// Three (TERNARY = 1): O5 is the majority of the column's terms, which the next column adds: O6 is the XOR of the three and of the
// majority before, which is also what the chain generates.
//     carry_in + majority_in + terms = sum + 2^WIDTH (carry + majority)
//
// Pins 0 to 3 of a column's LUT are free for what terms are made of; INIT holds the functions, the lowest column in the low bits.

`default_nettype none

module snug_xc7_row #(
    parameter WIDTH = 1,
    parameter TERNARY = 0,
    parameter [64*WIDTH-1:0] INIT = 0
) (
    input  wire [4*WIDTH-1:0] pins,
    input  wire               carry_in,
    input  wire               majority_in,
    output wire [WIDTH+1:0]   out    // sum; above it the carry, and the majority, out of the highest column
);

    localparam CELLS = (WIDTH + 3) / 4;

    genvar i;
    generate
        for (i = 0; i < 4 * CELLS; i = i + 1) begin : column
            wire previous;    // the majority of the column before
            wire majority;    // this one's, if terms are three
            wire select;      // O6
            wire generated;   // what the chain takes where `select` is 0

            // With two terms a column nothing goes from column to column but the carry.
            wire unused_ok = &{1'b0, previous, majority};

            if (i == 0) begin : first
                assign previous = majority_in;
            end else begin : next
                assign previous = column[i - 1].majority;
            end

            if (i < WIDTH) begin : lut
                LUT6_2 #(
                    .INIT(INIT[64*i +: 64])
                ) primitive_cell (
                    .I0(pins[4*i]),
                    .I1(pins[4*i+1]),
                    .I2(pins[4*i+2]),
                    .I3(pins[4*i+3]),
                    .I4(previous),
                    .I5(1'b1),
                    .O5(majority),
                    .O6(select)
                );
                assign generated = TERNARY ? previous : majority;
            end else begin : filler
                assign majority = 1'b0;
                assign select = 1'b0;
                assign generated = 1'b0;
            end
        end

        for (i = 0; i < CELLS; i = i + 1) begin : chain
            wire [3:0] carry;
            wire [3:0] sum;
            wire       previous;
            wire       start;

            if (i == 0) begin : first
                assign previous = 1'b0;
                assign start = carry_in;
            end else begin : next
                assign previous = chain[i - 1].carry[3];
                assign start = 1'b0;
            end

            // Carries inside the cell, and what lies above the highest column.
            wire unused_ok = &{1'b0, carry, sum};

            CARRY4 primitive_cell (
                .CO(carry),
                .O(sum),
                .CI(previous),
                .CYINIT(start),
                .DI({column[4*i+3].generated, column[4*i+2].generated, column[4*i+1].generated, column[4*i].generated}),
                .S({column[4*i+3].select, column[4*i+2].select, column[4*i+1].select, column[4*i].select})
            );
        end

        for (i = 0; i < WIDTH; i = i + 1) begin : result
            assign out[i] = chain[i / 4].sum[i % 4];
        end
    endgenerate

    assign out[WIDTH] = chain[CELLS - 1].carry[(WIDTH - 1) % 4];
    assign out[WIDTH + 1] = column[WIDTH - 1].majority;

endmodule

`default_nettype wire
