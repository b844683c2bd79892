// snug_add: the sum of two streams, lane by lane: FACTOR_0 times the first and FACTOR_1 times the second.
//
// Cycles      A beat is taken from both streams in the same cycle, when both are valid and a credit is left; see
//             snug_credit. Each stream's ready waits for the other's valid, never for m_axis_tready.
// Latency     2 cycles from the edge that takes the beats to the edge that writes the sum into the exit queue: input
//             registers, sum.

`default_nettype none

module snug_add #(
    parameter LANES    = 1,
    parameter IN_0     = 4,   // bits of an element of the first stream
    parameter SIGNED_0 = 0,   // its elements are two's complement
    parameter [63:0] FACTOR_0 = 64'd1,   // two's complement
    parameter IN_1     = 4,   // the same for the second
    parameter SIGNED_1 = 0,
    parameter [63:0] FACTOR_1 = 64'd1,
    parameter OUT      = 5,   // bits of an element out, >= IN_0 and IN_1; every sum fits
    parameter QUEUE    = 2    // places of the exit queue
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
    , output wire                  f_fire       // beats are taken
    , output wire [LANES*IN_0-1:0] f_x0         // the beats taken one cycle before
    , output wire [LANES*IN_1-1:0] f_x1
    , output wire [1:0]            f_y_valid
    , output wire             f_valid      // a beat enters the exit queue
    , output wire             f_room       // which has room for it
    , output wire [LANES*OUT-1:0] f_entry   // its data
    , output wire [31:0]      f_credits    // credits left
    // The exit queue's beats: see snug_fifo.
    , output wire [31:0]      f_level
    , output wire             f_inside
    , output wire [31:0]      f_ahead
    , output wire [LANES*OUT-1:0] f_chosen
    , output wire             f_leaves
    , output wire             f_enters
`endif
);

    // Sign and size apart, modulo 2^OUT: a factor of -1 written as all ones would be a multiplication of OUT partial products.
    localparam           LESS_0 = FACTOR_0[63];
    localparam           LESS_1 = FACTOR_1[63];
    localparam [63:0]    SIZE_0 = LESS_0 ? -FACTOR_0 : FACTOR_0;
    localparam [63:0]    SIZE_1 = LESS_1 ? -FACTOR_1 : FACTOR_1;
    localparam [OUT-1:0] F0     = SIZE_0[OUT-1:0];
    localparam [OUT-1:0] F1     = SIZE_1[OUT-1:0];

    wire available;
    wire fire = available & s_axis_tvalid & s1_axis_tvalid;
    assign s_axis_tready  = available & s1_axis_tvalid;
    assign s1_axis_tready = available & s_axis_tvalid;

    wire unused_soon;
    snug_credit #(.CREDITS(QUEUE)) credit (
        .aclk(aclk),
        .aresetn(aresetn),
        .take(fire),
        .available(available),
        .soon(unused_soon),
        .give(m_axis_tvalid & m_axis_tready)
`ifdef FORMAL
        , .f_count(f_credits)
`endif
    );

    reg [LANES*IN_0-1:0] x0_reg;
    reg [LANES*IN_1-1:0] x1_reg;
    reg [LANES*OUT-1:0]  y_reg;
    wire [LANES*OUT-1:0] y;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [IN_0-1:0] x0 = x0_reg[lane*IN_0 +: IN_0];
            wire [IN_1-1:0] x1 = x1_reg[lane*IN_1 +: IN_1];
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
            // Modulo 2^OUT, and the sum fits in OUT bits: exact whatever the factors' signs.
            wire [OUT-1:0] part_0 = F0 * wide_0;
            wire [OUT-1:0] part_1 = F1 * wide_1;
            if (LESS_0 && LESS_1) begin : both_less
                assign y[lane*OUT +: OUT] = -part_0 - part_1;
            end else if (LESS_0) begin : first_less
                assign y[lane*OUT +: OUT] = part_1 - part_0;
            end else if (LESS_1) begin : second_less
                assign y[lane*OUT +: OUT] = part_0 - part_1;
            end else begin : plain
                assign y[lane*OUT +: OUT] = part_0 + part_1;
            end
        end
    endgenerate

    always @(posedge aclk) begin
        x0_reg <= s_axis_tdata;
        x1_reg <= s1_axis_tdata;
        y_reg  <= y;
    end

    wire y_valid, queue_ready;
    snug_delay #(.WIDTH(1), .CYCLES(2), .RESET(1)) delay_valid (
        .aclk(aclk), .aresetn(aresetn), .d(fire), .q(y_valid)
`ifdef FORMAL
        , .f_stages(f_y_valid)
`endif
    );
    snug_fifo #(.WIDTH(LANES*OUT), .DEPTH(QUEUE)) queue (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(y_reg),
        .s_axis_tvalid(y_valid),
        .s_axis_tready(queue_ready),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_axis_tvalid),
        .m_axis_tready(m_axis_tready)
`ifdef FORMAL
        , .f_level(f_level), .f_inside(f_inside), .f_ahead(f_ahead), .f_chosen(f_chosen), .f_leaves(f_leaves), .f_enters(f_enters)
`endif
    );

    // A credit is a place in the queue: it is ready whenever a beat arrives.
    wire unused_queue_ready = &{1'b0, queue_ready};

`ifdef FORMAL
    assign f_fire  = fire;
    assign f_x0    = x0_reg;
    assign f_x1    = x1_reg;
    assign f_valid = y_valid;
    assign f_room  = queue_ready;
    assign f_entry = y_reg;
`endif

endmodule

`default_nettype wire
