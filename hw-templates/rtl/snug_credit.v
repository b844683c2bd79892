// snug_credit: credit counter at the entry of an island of fixed-latency stages that ends in a queue.
//
// Purpose     The stages between entry and queue never stall, so a beat may enter only if the queue is sure to have
//             room for it when it comes out. One credit stands for one place in that queue: a beat that enters takes
//             it, a beat that leaves the queue gives it back. With CREDITS = depth of the queue it cannot overflow.
// Interface   A beat enters at a rising edge of aclk at which aresetn, take and available are all high: tie take to
//             the tvalid and available to the tready of the island's input. give is high in each cycle in which a
//             beat leaves the queue (tvalid & tready of the island's output).
// Cycles      Let `count` be the credits left. At each edge with aresetn high
//                 count <= count - taken + given       taken = take & available
//                                                      given = give & (count < CREDITS)
//             and available <= (new count > 0) at the same edge; a give while no credit is out is ignored. An edge
//             with aresetn low sets count to CREDITS and available to 0. So available is low during reset and through
//             the first edge with aresetn high, and high after that edge.
// Latency     1: a credit given at one edge makes available high after it.
// Throughput  one beat a cycle if CREDITS exceeds the cycles from the edge at which a beat enters the island to the
//             edge at which it leaves the queue.
// Paths       none from any input to available, which is a register; from take and give to soon, for registers of whoever uses it.

`default_nettype none

module snug_credit #(
    parameter CREDITS = 2   // beats allowed inside, >= 1
) (
    input  wire aclk,
    input  wire aresetn,

    input  wire take,
    output wire available,
    output wire soon,        // available after the coming edge, if aresetn is high at it
    input  wire give
`ifdef FORMAL
    , output wire [31:0] f_count   // credits left, for the claims of whoever uses them
`endif
);

    // Bits that hold every value from 0 to `value`, at least one.
    function integer bits_for;
        input integer value;
        integer rest;
        begin
            bits_for = 1;
            for (rest = value >> 1; rest > 0; rest = rest >> 1)
                bits_for = bits_for + 1;
        end
    endfunction

    localparam COUNT = bits_for(CREDITS);

    // The same number at the width of the register it meets.
    localparam [31:0]      ALL_WIDE = CREDITS;
    localparam [COUNT-1:0] ALL      = ALL_WIDE[COUNT-1:0];
    localparam [31:0]      BUT_WIDE = CREDITS - 1;
    localparam [COUNT-1:0] BUT_ONE  = BUT_WIDE[COUNT-1:0];
    localparam [31:0]      TWO_WIDE = 2;
    localparam [COUNT-1:0] TWO      = TWO_WIDE[COUNT-1:0];   // 0 where one bit counts: then none is ever taken from it

    reg [COUNT-1:0] count_reg, count_next;
    reg             available_reg, available_next;
    // Kept beside the count, so that what comes late (take, give) goes through no adder and no comparison.
    reg             one_reg, one_next;   // the count is 1
    reg             all_reg, all_next;   // the count is CREDITS

    wire taken = take & available_reg;
    wire given = give & ~all_reg;

    assign available = available_reg;
    assign soon      = available_next;

    always @* begin
        count_next     = count_reg;
        one_next       = one_reg;
        all_next       = all_reg;
        available_next = available_reg | all_reg;   // the first cycle after a reset has all credits

        if (taken & ~given) begin
            count_next     = count_reg - 1'b1;
            one_next       = (count_reg == TWO);
            all_next       = 1'b0;
            available_next = ~one_reg;
        end else if (given & ~taken) begin
            count_next     = count_reg + 1'b1;
            one_next       = ~available_reg;   // no credit was left
            all_next       = (count_reg == BUT_ONE);
            available_next = 1'b1;
        end
    end

    always @(posedge aclk) begin
        count_reg     <= count_next;
        one_reg       <= one_next;
        all_reg       <= all_next;
        available_reg <= available_next;

        if (!aresetn) begin
            count_reg     <= ALL;
            one_reg       <= (CREDITS == 1);
            all_reg       <= 1'b1;
            available_reg <= 1'b0;
        end
    end

`ifdef FORMAL
    assign f_count = {{(32-COUNT){1'b0}}, count_reg};

    // Nothing is assumed about the environment, nor about the state before the first reset; everything below is
    // claimed from the first edge with aresetn low onwards.
    reg f_live = 1'b0;
    reg f_ran;                // the last edge had aresetn high
    reg [COUNT-1:0] f_out;    // beats inside, counted from the ports alone

    always @(posedge aclk) begin
        f_ran <= aresetn;
        if (take & available & ~(give & (f_out != {COUNT{1'b0}})))
            f_out <= f_out + 1'b1;
        else if (give & (f_out != {COUNT{1'b0}}) & ~(take & available))
            f_out <= f_out - 1'b1;

        if (!aresetn) begin
            f_live <= 1'b1;
            f_out  <= {COUNT{1'b0}};
        end
    end

    always @* begin
        if (f_live) begin
            // Never more than CREDITS beats inside, and no credit lost: what is not inside is available.
            assert (f_out <= ALL);
            assert (count_reg == ALL - f_out);
            assert (available == (f_ran & (f_out != ALL)));
            assert (one_reg == (f_count == 32'd1));
            assert (all_reg == (count_reg == ALL));
            if (!f_ran)
                assert (all_reg);
        end
    end
`endif

endmodule

`default_nettype wire
