// snug_pair: a queue of two places without a multiplexer: two registers, one behind the other.
//
// Purpose     The exit of an island whose entry holds two credits: what comes in always finds the first register free, and
//             moves on to the second as soon as that one is. No LUT a bit, where a queue in LUT RAM takes four for six bits.
// Interface   AXI4-Stream style at the exit; at the entry s_axis_tvalid alone, since a credit is a place (see snug_credit).
// Cycles      With a, b the valid bits of first and second register, at each edge with aresetn high
//                 move <= a & (~b | m_axis_tready)
//                 a    <= s_axis_tvalid | (a & ~move)      b <= a | (b & ~m_axis_tready)
//             An edge with aresetn low sets both to 0.
// Latency     2: a beat taken at one edge is on m_axis after the next, and can leave at the one after that.
// Throughput  one beat a cycle.
// Paths       none from m_axis_tready or s_axis_tvalid to m_axis_tvalid, which is a register, as are the data.

`default_nettype none

module snug_pair #(
    parameter WIDTH = 8   // bits of a beat, >= 1
) (
    input  wire             aclk,
    input  wire             aresetn,

    input  wire [WIDTH-1:0] s_axis_tdata,
    input  wire             s_axis_tvalid,

    output wire [WIDTH-1:0] m_axis_tdata,
    output wire             m_axis_tvalid,
    input  wire             m_axis_tready
`ifdef FORMAL
    , output wire [31:0]    f_level   // beats held, for the claims of whoever uses the queue
`endif
);

    reg [WIDTH-1:0] first_reg, second_reg;
    reg             first_valid_reg, second_valid_reg;

    wire move = first_valid_reg & (~second_valid_reg | m_axis_tready);

    assign m_axis_tdata  = second_reg;
    assign m_axis_tvalid = second_valid_reg;

    always @(posedge aclk) begin
        first_valid_reg  <= s_axis_tvalid | (first_valid_reg & ~move);
        second_valid_reg <= first_valid_reg | (second_valid_reg & ~m_axis_tready);

        if (s_axis_tvalid)
            first_reg <= s_axis_tdata;
        if (move)
            second_reg <= first_reg;

        if (!aresetn) begin
            first_valid_reg  <= 1'b0;
            second_valid_reg <= 1'b0;
        end
    end

`ifdef FORMAL
    assign f_level = {31'd0, first_valid_reg} + {31'd0, second_valid_reg};

    // Nothing is assumed. The claims hold as long as every beat that came in had a place, which is for the entry to claim.
    reg f_live = 1'b0;
    reg f_kept;
    always @(posedge aclk) begin
        if (s_axis_tvalid & first_valid_reg & ~move)
            f_kept <= 1'b0;
        if (!aresetn) begin
            f_live <= 1'b1;
            f_kept <= 1'b1;
        end
    end

    // Any one beat, numbered modulo 4 as it enters: it leaves under its number with its data, and waits with valid.
    wire [1:0] f_index = $anyconst;
    reg  [1:0] f_in, f_out;
    reg  [WIDTH-1:0] f_data, f_waiting_data;
    reg  f_waiting = 1'b0;
    wire pop = m_axis_tvalid & m_axis_tready;
    wire [1:0] f_ahead = f_index - f_out;
    always @(posedge aclk) begin
        if (s_axis_tvalid)
            f_in <= f_in + 1'b1;
        if (pop)
            f_out <= f_out + 1'b1;
        if (s_axis_tvalid & (f_in == f_index))
            f_data <= s_axis_tdata;
        f_waiting      <= m_axis_tvalid & ~m_axis_tready;
        f_waiting_data <= m_axis_tdata;
        if (!aresetn) begin
            f_in      <= 2'd0;
            f_out     <= 2'd0;
            f_waiting <= 1'b0;
        end
    end
    wire [1:0] f_held = f_in - f_out;
    always @* if (f_live & f_kept) begin
        assert ({30'd0, f_held} == f_level);
        if (f_waiting)
            assert (m_axis_tvalid & (m_axis_tdata == f_waiting_data));
        if (f_ahead < f_held)
            assert (((f_ahead == 2'd0) & second_valid_reg) ? (second_reg == f_data) : (first_reg == f_data));
    end
`endif

endmodule

`default_nettype wire
