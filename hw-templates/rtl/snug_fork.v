// snug_fork: every beat goes to two readers, each with a queue of its own.
//
// Cycles      As two snug_fifo: a beat is taken when both queues have room. Each reader takes it when it likes; one that is
//             late holds the other up only when its own queue is full.
// Paths       none from either m_axis_tready to s_axis_tready or a tvalid.

`default_nettype none

module snug_fork #(
    parameter WIDTH   = 8,   // bits of a beat
    parameter DEPTH_0 = 2,   // places of the first reader's queue
    parameter DEPTH_1 = 2    // places of the second reader's queue
) (
    input  wire             aclk,
    input  wire             aresetn,

    input  wire [WIDTH-1:0] s_axis_tdata,
    input  wire             s_axis_tvalid,
    output wire             s_axis_tready,

    output wire [WIDTH-1:0] m_axis_tdata,
    output wire             m_axis_tvalid,
    input  wire             m_axis_tready,

    output wire [WIDTH-1:0] m1_axis_tdata,
    output wire             m1_axis_tvalid,
    input  wire             m1_axis_tready
`ifdef FORMAL
    // For the claims, which stand in a module around this one: the beats of both queues, see snug_fifo.
    , output wire [31:0]      f_level_0, f_level_1
    , output wire             f_inside_0, f_inside_1
    , output wire [31:0]      f_ahead_0, f_ahead_1
    , output wire [WIDTH-1:0] f_chosen_0, f_chosen_1
    , output wire             f_leaves_0, f_leaves_1
`endif
);

    wire ready_0, ready_1;
    assign s_axis_tready = ready_0 & ready_1;

    snug_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH_0)) queue_0 (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata),
        .s_axis_tvalid(s_axis_tvalid & ready_1),
        .s_axis_tready(ready_0),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready)
`ifdef FORMAL
        , .f_level(f_level_0), .f_inside(f_inside_0), .f_ahead(f_ahead_0), .f_chosen(f_chosen_0), .f_leaves(f_leaves_0)
`endif
    );

    snug_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH_1)) queue_1 (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata),
        .s_axis_tvalid(s_axis_tvalid & ready_0),
        .s_axis_tready(ready_1),
        .m_axis_tdata(m1_axis_tdata),
        .m_axis_tvalid(m1_axis_tvalid),
        .m_axis_tready(m1_axis_tready)
`ifdef FORMAL
        , .f_level(f_level_1), .f_inside(f_inside_1), .f_ahead(f_ahead_1), .f_chosen(f_chosen_1), .f_leaves(f_leaves_1)
`endif
    );

endmodule

`default_nettype wire
