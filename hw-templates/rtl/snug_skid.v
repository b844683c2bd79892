// snug_skid: register slice on a valid/ready stream; cuts every path through it, data, valid and ready alike.
//
// Interface   AXI4-Stream style. A beat passes at a rising edge of aclk at which aresetn, tvalid and tready are all
//             high. aresetn is synchronous and active low; it empties both registers, and an edge at which it is low
//             passes no beat, whatever valid and ready say.
// Cycles      On its handshakes it behaves, cycle for cycle, as a queue of two beats (snug_fifo with DEPTH = 2). Let
//             `level` be the number of beats held. At each edge with aresetn high
//                 level <= level + push - pop      push = s_axis_tvalid & s_axis_tready
//                                                  pop  = m_axis_tvalid & m_axis_tready
//             and s_axis_tready <= (new level < 2), m_axis_tvalid <= (new level > 0) at the same edge. An edge with
//             aresetn low sets all three to 0. So ready is low during reset and through the first edge with aresetn
//             high, and high after that edge.
// Latency     1: a beat taken at one edge while nothing waits is on m_axis after it and can leave at the next edge.
// Throughput  one beat a cycle.
// Paths       none from any input to any output: tdata, tvalid and tready of both sides are registers.
// How         The output register holds the beat on m_axis. Ready falls one cycle late, being a register, so one
//             more beat may arrive while the output waits: it is held in the second register, and moves on first.

`default_nettype none

module snug_skid #(
    parameter WIDTH = 8   // bits of a beat, >= 1
) (
    input  wire             aclk,
    input  wire             aresetn,

    input  wire [WIDTH-1:0] s_axis_tdata,
    input  wire             s_axis_tvalid,
    output wire             s_axis_tready,

    output wire [WIDTH-1:0] m_axis_tdata,
    output wire             m_axis_tvalid,
    input  wire             m_axis_tready
`ifdef FORMAL
    // For the claims of whoever uses it, as of snug_fifo: the beats held, and one of them (any one: see f_index below).
    , output wire [31:0]      f_level    // beats held
    , output wire             f_inside   // the chosen beat is one of them
    , output wire [31:0]      f_ahead    // how many leave before it
    , output wire [WIDTH-1:0] f_chosen   // its data
    , output wire             f_leaves   // it stands at the exit
`endif
);

    reg [WIDTH-1:0] data_reg, data_next;
    reg [WIDTH-1:0] held_data_reg, held_data_next;
    reg             valid_reg, valid_next;
    reg             held_reg, held_next;
    reg             ready_reg, ready_next;

    wire push = s_axis_tvalid & ready_reg;

    assign s_axis_tready = ready_reg;
    assign m_axis_tvalid = valid_reg;
    assign m_axis_tdata  = data_reg;

    always @* begin
        data_next      = data_reg;
        held_data_next = held_data_reg;
        valid_next     = valid_reg;
        held_next      = held_reg;

        if (m_axis_tready | ~valid_reg) begin
            // The output register is free after this edge: first the beat that was held, else the one that arrives.
            data_next  = held_reg ? held_data_reg : s_axis_tdata;
            valid_next = held_reg | push;
            held_next  = 1'b0;
        end else if (push) begin
            held_data_next = s_axis_tdata;
            held_next      = 1'b1;
        end

        ready_next = ~held_next;
    end

    always @(posedge aclk) begin
        data_reg      <= data_next;
        held_data_reg <= held_data_next;
        valid_reg     <= valid_next;
        held_reg      <= held_next;
        ready_reg     <= ready_next;

        if (!aresetn) begin
            valid_reg <= 1'b0;
            held_reg  <= 1'b0;
            ready_reg <= 1'b0;
        end
    end

`ifdef FORMAL
    // Nothing is assumed about the environment, nor about the state before the first reset; everything below is
    // claimed from the first edge with aresetn low onwards.
    reg f_live = 1'b0;
    reg f_ran;   // the last edge had aresetn high

    wire       pop     = valid_reg & m_axis_tready;
    wire [1:0] f_held  = {1'b0, valid_reg} + {1'b0, held_reg};

    // Beats are numbered as they enter and as they leave, modulo 4; at most two are inside, so they never share a
    // number. f_index is any one number: the beat that leaves under it must carry the data that entered under it.
    // That is: nothing lost, doubled, reordered or altered.
    wire [1:0]       f_index = $anyconst;
    reg  [1:0]       f_in, f_out;
    reg  [WIDTH-1:0] f_data;
    wire [1:0]       f_ahead_number = f_index - f_out;
    assign f_level  = {30'd0, f_held};
    assign f_inside = f_ahead_number < f_held;
    assign f_ahead  = {30'd0, f_ahead_number};
    assign f_chosen = f_data;
    assign f_leaves = valid_reg & (f_out == f_index);

    // What the module showed before the last edge.
    reg              f_waiting = 1'b0;
    reg  [WIDTH-1:0] f_waiting_data;

    always @(posedge aclk) begin
        if (push)
            f_in <= f_in + 1'b1;
        if (pop)
            f_out <= f_out + 1'b1;
        if (push & (f_in == f_index))
            f_data <= s_axis_tdata;

        f_waiting      <= valid_reg & ~m_axis_tready;
        f_waiting_data <= m_axis_tdata;
        f_ran          <= aresetn;

        if (!aresetn) begin
            f_live    <= 1'b1;
            f_in      <= 2'd0;
            f_out     <= 2'd0;
            f_waiting <= 1'b0;
        end
    end

    always @* begin
        if (f_live) begin
            // Bookkeeping: the level is what went in less what came out, and every register agrees with it.
            assert (f_held == f_in - f_out);
            assert (!(held_reg & ~valid_reg));
            assert (ready_reg == (f_ran & ~held_reg));
            assert (f_ran | ~valid_reg);

            // The stream contract: valid waits for ready, and data waits with it.
            if (f_waiting) begin
                assert (valid_reg);
                assert (m_axis_tdata == f_waiting_data);
            end

            // Data integrity: as seen outside, then the invariant inside that makes it inductive.
            if (f_leaves)
                assert (m_axis_tdata == f_data);
            if (held_reg & (f_ahead_number == 2'd1))
                assert (held_data_reg == f_data);
        end
    end
`endif

endmodule

`default_nettype wire
