// Miter of the two queues: the same inputs to both, and what must be true of the pair.
//
// The wires our_*, their_* carry registers from inside the two modules; the proof script ties them on. Before the
// first edge with aresetn low nothing is claimed and any state is possible.

`default_nettype none

module miter #(
    parameter WIDTH = 8,
    parameter DEPTH = 4,
    parameter ADDR  = 2,   // bits of snug_fifo's read and write registers
    parameter LEVEL = 3    // bits of its level register
) (
    input wire             aclk,
    input wire             aresetn,
    input wire [WIDTH-1:0] s_axis_tdata,
    input wire             s_axis_tvalid,
    input wire             m_axis_tready
);

    wire             our_ready, our_valid, their_ready, their_valid;
    wire [WIDTH-1:0] our_output, their_output;

    snug_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) ours (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(our_ready),
        .m_axis_tdata(our_output), .m_axis_tvalid(our_valid), .m_axis_tready(m_axis_tready)
    );

    their_fifo theirs (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(their_ready),
        .m_axis_tdata(their_output), .m_axis_tvalid(their_valid), .m_axis_tready(m_axis_tready)
    );

    reg live = 1'b0;
    always @(posedge aclk)
        if (!aresetn)
            live <= 1'b1;

    // The claim: no difference can be seen from outside. Data counts only while valid.
    always @*
        if (live) begin
            assert (our_ready == their_ready);
            assert (our_valid == their_valid);
            if (our_valid)
                assert (our_output == their_output);
        end

`ifdef INVARIANT
    // What makes the claim inductive: the two states stand for the same queue. Place i of theirs, counted from the
    // exit, is word (read + i) mod DEPTH of ours, and is filled where i is below our level.
    wire [LEVEL-1:0]       our_level;
    wire [ADDR-1:0]        our_read, our_write;
    wire [DEPTH*WIDTH-1:0] our_data, their_data;
    wire [DEPTH:0]         their_filled;

    always @*
        if (live) begin
            assert (our_level <= DEPTH);
            assert (our_read < DEPTH);
            assert (our_write == (our_read + our_level) % DEPTH);
            assert (our_valid == (our_level != 0));
            assert (!(our_ready & (our_level == DEPTH)));
            assert (!their_filled[DEPTH]);
        end

    genvar i;
    generate
        for (i = 0; i < DEPTH; i = i + 1) begin : place
            wire [31:0] word = (our_read + i) % DEPTH;
            always @*
                if (live) begin
                    assert (their_filled[i] == (our_level > i));
                    if (our_level > i)
                        assert (their_data[i*WIDTH +: WIDTH] == our_data[word*WIDTH +: WIDTH]);
                end
        end
    endgenerate
`endif

endmodule

`default_nettype wire
