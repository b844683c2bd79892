// snug_pool: the largest value, or the sum, of BEATS consecutive beats, lane by lane.
//
// Cycles      As snug_sequencer with one neuron fold of BEATS synapse folds: one beat a cycle, one beat out for each BEATS.
// Latency     2 cycles from the edge that takes the last beat of a window to the edge that writes the result into the exit
//             queue: input register, running value.

`default_nettype none

module snug_pool #(
    parameter LANES  = 1,
    parameter IN     = 4,   // bits of an element in
    parameter OUT    = 4,   // bits of an element out, >= IN: the sum of BEATS elements fits
    parameter SIGNED = 0,   // elements are two's complement
    parameter SUM    = 0,   // 1: the sum; 0: the largest
    parameter BEATS  = 1,   // beats of a window
    parameter QUEUE  = 2    // places of the exit queue
) (
    input  wire                 aclk,
    input  wire                 aresetn,

    input  wire [LANES*IN-1:0]  s_axis_tdata,
    input  wire                 s_axis_tvalid,
    output wire                 s_axis_tready,

    output wire [LANES*OUT-1:0] m_axis_tdata,
    output wire                 m_axis_tvalid,
    input  wire                 m_axis_tready
`ifdef FORMAL
    // For the claims, which stand in a module around this one: see docs/proof.md.
    , output wire                 f_fire     // a beat is taken
    , output wire [31:0]          f_place    // its number in its window
    , output wire [LANES*IN-1:0]  f_x        // the beat taken one cycle before
    , output wire                 f_x_valid, f_x_first
    , output wire [1:0]           f_y_valid
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

    localparam COUNT = bits_for(BEATS - 1);
    // Two's complement compares as unsigned once the sign bit is turned.
    localparam [63:0]    SIGN_WIDE = (SIGNED != 0) ? 64'd1 << (OUT - 1) : 64'd0;
    localparam [OUT-1:0] SIGN      = SIGN_WIDE[OUT-1:0];

    wire fire, first, last;
    wire unused_replay, unused_neuron;
    wire [COUNT-1:0] unused_fold, synapse;
    snug_sequencer #(
        .SYNAPSE_FOLDS(BEATS),
        .CREDITS(QUEUE),
        .FOLD_BITS(COUNT),
        .SYNAPSE_BITS(COUNT)
    ) sequencer (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tvalid(s_axis_tvalid),
        .s_axis_tready(s_axis_tready),
        .fire(fire),
        .replay(unused_replay),
        .fold(unused_fold),
        .neuron(unused_neuron),
        .synapse(synapse),
        .first(first),
        .last(last),
        .give(m_axis_tvalid & m_axis_tready)
`ifdef FORMAL
        , .f_credits(f_credits)
`endif
    );
    wire unused_ok = &{1'b0, unused_replay, unused_neuron, unused_fold, synapse};

    reg [LANES*IN-1:0]  x_reg;
    reg [LANES*OUT-1:0] y_reg;
    reg                 fire_reg, first_reg;   // of the beat in x_reg
    wire                y_valid;

    snug_delay #(.WIDTH(1), .CYCLES(2), .RESET(1)) delay_valid (
        .aclk(aclk), .aresetn(aresetn), .d(fire & last), .q(y_valid)
`ifdef FORMAL
        , .f_stages(f_y_valid)
`endif
    );

    wire [LANES*OUT-1:0] y;
    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [IN-1:0]  x     = x_reg[lane*IN +: IN];
            wire [OUT-1:0] y_old = y_reg[lane*OUT +: OUT];
            wire [OUT-1:0] x_wide;
            if (OUT > IN) begin : widen
                assign x_wide = {{(OUT-IN){(SIGNED != 0) & x[IN-1]}}, x};
            end else begin : same
                assign x_wide = x;
            end
            wire           more = (x_wide ^ SIGN) > (y_old ^ SIGN);
            assign y[lane*OUT +: OUT] = first_reg ? x_wide
                                      : (SUM != 0) ? y_old + x_wide
                                      : more ? x_wide : y_old;
        end
    endgenerate

    always @(posedge aclk) begin
        x_reg     <= s_axis_tdata;
        fire_reg  <= fire;
        first_reg <= first;
        if (fire_reg)
            y_reg <= y;
    end

    wire queue_ready;
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
    assign f_fire    = fire;
    assign f_place   = {{(32-COUNT){1'b0}}, synapse};
    assign f_x       = x_reg;
    assign f_x_valid = fire_reg;
    assign f_x_first = first_reg;
    assign f_valid   = y_valid;
    assign f_room    = queue_ready;
    assign f_entry   = y_reg;
`endif

endmodule

`default_nettype wire
