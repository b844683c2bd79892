// Miter of the two register slices: the same inputs to both, and what must be true of the pair.
//
// The wires our_*, their_* carry registers from inside the two modules; the proof script ties them on. Before the
// first edge with aresetn low nothing is claimed and any state is possible.

`default_nettype none

module miter #(
    parameter WIDTH = 8
) (
    input wire             aclk,
    input wire             aresetn,
    input wire [WIDTH-1:0] s_axis_tdata,
    input wire             s_axis_tvalid,
    input wire             m_axis_tready
);

    wire             our_ready, our_valid, their_ready, their_valid;
    wire [WIDTH-1:0] our_output, their_output;

    snug_skid #(.WIDTH(WIDTH)) ours (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(our_ready),
        .m_axis_tdata(our_output), .m_axis_tvalid(our_valid), .m_axis_tready(m_axis_tready)
    );

    their_skid theirs (
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
    // What makes the claim inductive: the two states stand for the same beats. Theirs lie in a and b in turn, the
    // older one where leave_b points; of ours the older one is in the output register, the other one is held.
    wire             our_held;
    wire [WIDTH-1:0] our_held_data;
    wire             their_full_a, their_full_b, their_enter_b, their_leave_b;
    wire [WIDTH-1:0] their_data_a, their_data_b;

    always @*
        if (live) begin
            assert (!(our_held & !our_valid));
            assert (!(our_held & our_ready));
            assert (our_held == (their_full_a & their_full_b));
            assert (their_full_a == (our_held | (our_valid & !their_leave_b)));
            assert (their_full_b == (our_held | (our_valid & their_leave_b)));
            assert (their_enter_b == (their_leave_b ^ (our_valid & !our_held)));
            if (our_held)
                assert (our_held_data == (their_leave_b ? their_data_a : their_data_b));
        end
`endif

endmodule

`default_nettype wire
