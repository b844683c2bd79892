// Miter of the two credit counters: the same inputs to both, and what must be true of the pair.
//
// The wires our_*, their_* carry registers from inside the two modules; the proof script ties them on. Before the
// first edge with aresetn low nothing is claimed and any state is possible.

`default_nettype none

module miter #(
    parameter CREDITS = 4,
    parameter COUNT   = 3   // bits of snug_credit's register
) (
    input wire aclk,
    input wire aresetn,
    input wire take,
    input wire give
);

    wire our_available, their_available;

    snug_credit #(.CREDITS(CREDITS)) ours (
        .aclk(aclk), .aresetn(aresetn), .take(take), .available(our_available), .give(give)
    );

    their_credit theirs (
        .aclk(aclk), .aresetn(aresetn), .take(take), .available(their_available), .give(give)
    );

    reg live = 1'b0;
    always @(posedge aclk)
        if (!aresetn)
            live <= 1'b1;

    // The claim: no difference can be seen from outside.
    always @*
        if (live)
            assert (our_available == their_available);

`ifdef INVARIANT
    // What makes the claim inductive: the two states stand for the same number. Place i + 1 of theirs is one where
    // more than i credits are in use.
    wire [COUNT-1:0]   our_count;
    wire [CREDITS+1:0] their_used;
    wire               our_one, our_all;

    always @*
        if (live) begin
            assert (our_count <= CREDITS);
            assert (our_one == (our_count == 1));
            assert (our_all == (our_count == CREDITS));
            assert (!(our_available & (our_count == 0)));
            assert (our_available | our_all | (our_count == 0));
            assert (their_used[0]);
            assert (!their_used[CREDITS+1]);
        end

    genvar i;
    generate
        for (i = 0; i < CREDITS; i = i + 1) begin : place
            always @*
                if (live)
                    assert (their_used[i+1] == (our_count + i < CREDITS));
        end
    endgenerate
`endif

endmodule

`default_nettype wire
