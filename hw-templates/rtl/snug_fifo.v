// snug_fifo: first-in first-out queue on a valid/ready stream, one clock, any depth.
//
// Interface   AXI4-Stream style. A beat passes at a rising edge of aclk at which aresetn, tvalid and tready are all
//             high. aresetn is synchronous and active low; it empties the queue, and an edge at which it is low
//             passes no beat, whatever valid and ready say.
// Cycles      Let `level` be the number of beats held. At each edge with aresetn high
//                 level <= level + push - pop      push = s_axis_tvalid & s_axis_tready
//                                                  pop  = m_axis_tvalid & m_axis_tready
//             and both handshake outputs are registers loaded at the same edge from that new level:
//                 s_axis_tready <= (new level < DEPTH)      m_axis_tvalid <= (new level > 0)
//             An edge with aresetn low sets level, s_axis_tready and m_axis_tvalid to 0. So ready is low during
//             reset and through the first edge with aresetn high, and high after that edge.
// Latency     1: a beat taken at one edge into an empty queue is on m_axis after it and can leave at the next edge.
// Throughput  one beat a cycle for DEPTH >= 2, also when the queue is full and draining begins; for DEPTH = 1 one
//             beat every two cycles, because a full queue takes no beat at the edge at which it gives one.
// Paths       none from m_axis_tready or s_axis_tvalid to any handshake output. m_axis_tdata is an asynchronous read
//             of the storage (LUT RAM) and is stable while valid waits; it means nothing while m_axis_tvalid is low.
// Storage     DEPTH x WIDTH bits, not reset.

`default_nettype none

module snug_fifo #(
    parameter WIDTH = 8,   // bits of a beat, >= 1
    parameter DEPTH = 2    // beats held, >= 1, need not be a power of two
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
    // For the claims of whoever uses the queue: the beats held, and one of them (any one: see f_index below).
    , output wire [31:0]      f_level    // beats held
    , output wire             f_inside   // the chosen beat is one of them
    , output wire [31:0]      f_ahead    // how many leave before it
    , output wire [WIDTH-1:0] f_chosen   // its data
    , output wire             f_leaves   // it stands at the exit
    , output wire             f_enters   // what enters next is the chosen beat
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

    localparam ADDR  = bits_for(DEPTH - 1);
    localparam LEVEL = bits_for(DEPTH);

    // The same numbers at the widths of the registers they meet.
    localparam [31:0]      LAST_WIDE = DEPTH - 1;
    localparam [31:0]      FULL_WIDE = DEPTH;
    localparam [ADDR-1:0]  LAST      = LAST_WIDE[ADDR-1:0];
    localparam [LEVEL-1:0] FULL      = FULL_WIDE[LEVEL-1:0];

    reg [WIDTH-1:0] mem [0:DEPTH-1];

    reg [ADDR-1:0]  write_reg, write_next;
    reg [ADDR-1:0]  read_reg,  read_next;
    reg [LEVEL-1:0] level_reg, level_next;
    reg             ready_reg, ready_next;
    reg             valid_reg, valid_next;

    wire push = s_axis_tvalid & ready_reg;
    wire pop  = valid_reg & m_axis_tready;

    assign s_axis_tready = ready_reg;
    assign m_axis_tvalid = valid_reg;
    assign m_axis_tdata  = mem[read_reg];

    always @* begin
        write_next = write_reg;
        read_next  = read_reg;
        level_next = level_reg;

        if (push)
            write_next = (write_reg == LAST) ? {ADDR{1'b0}} : write_reg + 1'b1;
        if (pop)
            read_next = (read_reg == LAST) ? {ADDR{1'b0}} : read_reg + 1'b1;

        if (push & ~pop)
            level_next = level_reg + 1'b1;
        else if (pop & ~push)
            level_next = level_reg - 1'b1;

        ready_next = (level_next != FULL);
        valid_next = (level_next != {LEVEL{1'b0}});
    end

    always @(posedge aclk) begin
        write_reg <= write_next;
        read_reg  <= read_next;
        level_reg <= level_next;
        ready_reg <= ready_next;
        valid_reg <= valid_next;

        if (push)
            mem[write_reg] <= s_axis_tdata;

        if (!aresetn) begin
            write_reg <= {ADDR{1'b0}};
            read_reg  <= {ADDR{1'b0}};
            level_reg <= {LEVEL{1'b0}};
            ready_reg <= 1'b0;
            valid_reg <= 1'b0;
        end
    end

`ifdef FORMAL
    assign f_level = {{(32-LEVEL){1'b0}}, level_reg};

    // Nothing is assumed about the environment, nor about the state before the first reset; everything below is
    // claimed from the first edge with aresetn low onwards.
    reg f_live = 1'b0;
    reg f_ran;   // the last edge had aresetn high

    // Beats are numbered as they enter and as they leave, modulo 2^LEVEL; at most DEPTH < 2^LEVEL are inside, so no
    // two of them share a number. f_index is any one number: the beat that leaves under it must carry the data that
    // entered under it. That is: nothing lost, doubled, reordered or altered.
    wire [LEVEL-1:0] f_index = $anyconst;
    reg  [LEVEL-1:0] f_in, f_out;
    reg  [WIDTH-1:0] f_data;

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
            f_in      <= {LEVEL{1'b0}};
            f_out     <= {LEVEL{1'b0}};
            f_waiting <= 1'b0;
        end
    end

    // Where the beat numbered f_index lies, if it is inside.
    wire [LEVEL-1:0] f_ahead_number = f_index - f_out;
    assign f_inside = f_ahead_number < level_reg;
    assign f_ahead  = {{(32-LEVEL){1'b0}}, f_ahead_number};
    assign f_chosen = f_data;
    assign f_leaves = valid_reg & (f_out == f_index);
    assign f_enters = (f_in == f_index);
    wire [LEVEL:0]   f_place  = {{(LEVEL+1-ADDR){1'b0}}, read_reg} + {1'b0, f_ahead_number};
    wire [LEVEL:0]   f_slot   = (f_place >= {1'b0, FULL}) ? f_place - {1'b0, FULL} : f_place;
    wire [LEVEL:0]   f_head   = {{(LEVEL+1-ADDR){1'b0}}, read_reg} + {1'b0, level_reg};
    wire [LEVEL:0]   f_write  = (f_head >= {1'b0, FULL}) ? f_head - {1'b0, FULL} : f_head;

    always @* begin
        if (f_live) begin
            // Bookkeeping: the level is what went in less what came out, and every register agrees with it.
            assert (level_reg <= FULL);
            assert (level_reg == f_in - f_out);
            assert (valid_reg == (level_reg != {LEVEL{1'b0}}));
            assert (ready_reg == (f_ran & (level_reg != FULL)));
            assert (write_reg <= LAST);
            assert (read_reg <= LAST);
            assert ({{(LEVEL+1-ADDR){1'b0}}, write_reg} == f_write);

            // The stream contract: valid waits for ready, and data waits with it.
            if (f_waiting) begin
                assert (valid_reg);
                assert (m_axis_tdata == f_waiting_data);
            end

            // Data integrity: as seen outside, then the invariant inside that makes it inductive.
            if (f_leaves)
                assert (m_axis_tdata == f_data);
            if (f_inside)
                assert (mem[f_slot[ADDR-1:0]] == f_data);
        end
    end
`endif

endmodule

`default_nettype wire
