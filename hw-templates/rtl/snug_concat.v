// snug_concat: the channels of two streams one after the other: for each pixel, BEATS_0 beats of the first stream, then
// BEATS_1 beats of the second.
//
// Task        Elements keep their values; they are widened to OUT bits, with their sign where they have one.
// Cycles      A beat passes from the stream whose turn it is into a queue of two places (see snug_fifo); ready comes from
//             registers alone.
// Latency     1: that of the queue.

`default_nettype none

module snug_concat #(
    parameter LANES    = 1,
    parameter IN_0     = 4,   // bits of an element of the first stream
    parameter SIGNED_0 = 0,   // its elements are two's complement
    parameter BEATS_0  = 1,   // its beats of a pixel
    parameter IN_1     = 4,   // the same for the second
    parameter SIGNED_1 = 0,
    parameter BEATS_1  = 1,
    parameter OUT      = 4    // bits of an element out, >= IN_0 and IN_1
) (
    input  wire                  aclk,
    input  wire                  aresetn,

    input  wire [LANES*IN_0-1:0] s_axis_tdata,
    input  wire                  s_axis_tvalid,
    output wire                  s_axis_tready,

    input  wire [LANES*IN_1-1:0] s1_axis_tdata,
    input  wire                  s1_axis_tvalid,
    output wire                  s1_axis_tready,

    output wire [LANES*OUT-1:0]  m_axis_tdata,
    output wire                  m_axis_tvalid,
    input  wire                  m_axis_tready
`ifdef FORMAL
    // For the claims, which stand in a module around this one: see docs/proof.md.
    , output wire [31:0]          f_beat      // number of the beat of the pixel
    , output wire                 f_second    // it is the second stream's turn
    , output wire                 f_valid     // a beat is offered to the queue
    , output wire                 f_room      // which has room
    , output wire [LANES*OUT-1:0] f_entry     // its data
    // The queue's beats: see snug_fifo.
    , output wire [31:0]          f_level
    , output wire                 f_inside
    , output wire [31:0]          f_ahead
    , output wire [LANES*OUT-1:0] f_chosen
    , output wire                 f_leaves
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

    localparam COUNT = bits_for(BEATS_0 + BEATS_1 - 1);
    localparam [31:0] FIRST_WIDE = BEATS_0 - 1;
    localparam [31:0] LAST_WIDE  = BEATS_0 + BEATS_1 - 1;

    reg [COUNT-1:0] beat_reg;
    reg             second_reg;   // it is the second stream's turn
    wire            ready;

    assign s_axis_tready  = ready & ~second_reg;
    assign s1_axis_tready = ready & second_reg;
    wire valid = second_reg ? s1_axis_tvalid : s_axis_tvalid;
    wire fire  = valid & ready;

    always @(posedge aclk) begin
        if (fire) begin
            beat_reg <= (beat_reg == LAST_WIDE[COUNT-1:0]) ? {COUNT{1'b0}} : beat_reg + 1'b1;
            if (beat_reg == LAST_WIDE[COUNT-1:0])
                second_reg <= 1'b0;
            else if (beat_reg == FIRST_WIDE[COUNT-1:0])
                second_reg <= 1'b1;
        end
        if (!aresetn) begin
            beat_reg   <= {COUNT{1'b0}};
            second_reg <= 1'b0;
        end
    end

    wire [LANES*OUT-1:0] x;
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [IN_0-1:0] x0 = s_axis_tdata[lane*IN_0 +: IN_0];
            wire [IN_1-1:0] x1 = s1_axis_tdata[lane*IN_1 +: IN_1];
            wire [OUT-1:0]  wide_0, wide_1;
            if (OUT > IN_0) begin : widen_0
                assign wide_0 = {{(OUT-IN_0){(SIGNED_0 != 0) & x0[IN_0-1]}}, x0};
            end else begin : same_0
                assign wide_0 = x0;
            end
            if (OUT > IN_1) begin : widen_1
                assign wide_1 = {{(OUT-IN_1){(SIGNED_1 != 0) & x1[IN_1-1]}}, x1};
            end else begin : same_1
                assign wide_1 = x1;
            end
            assign x[lane*OUT +: OUT] = second_reg ? wide_1 : wide_0;
        end
    endgenerate

    snug_fifo #(.WIDTH(LANES*OUT), .DEPTH(2)) queue (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(x),
        .s_axis_tvalid(valid),
        .s_axis_tready(ready),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready)
`ifdef FORMAL
        , .f_level(f_level), .f_inside(f_inside), .f_ahead(f_ahead), .f_chosen(f_chosen), .f_leaves(f_leaves)
`endif
    );

`ifdef FORMAL
    assign f_beat   = {{(32-COUNT){1'b0}}, beat_reg};
    assign f_second = second_reg;
    assign f_valid  = valid;
    assign f_room   = ready;
    assign f_entry  = x;
`endif

endmodule

`default_nettype wire
