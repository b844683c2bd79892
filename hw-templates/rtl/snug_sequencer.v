// snug_sequencer: walks the folds of a fixed-latency pipeline and never lets more into it than its exit queue holds.
//
// Task        One frame is SYNAPSE_FOLDS beats, each taken from the stream in the first neuron fold and gone
//             through again from a buffer in the others: NEURON_FOLDS * SYNAPSE_FOLDS folds, one a cycle. The last
//             synapse fold of a neuron fold produces one beat at the far end of the pipeline.
//             With PASSES < NEURON_FOLDS a frame is several parts of SYNAPSE_FOLDS beats each, one for every PASSES neuron
//             folds: the first of them takes the part from the stream, the others go through it again.
// Credits     One credit stands for one place in the exit queue. A producing fold takes one (`last` with `fire`),
//             the queue gives one back when a beat leaves it (`give`). No fold runs while no credit is left, so the
//             pipeline itself needs no stall and no enable.
// Cycles      With `available` as in snug_credit (credits left, a register):
//                 s_axis_tready = available & (pass == 0)         replay = available & (pass != 0)
//             where pass is `neuron` modulo PASSES.
//                 fire          = (s_axis_tvalid & s_axis_tready) | replay
//             At each edge with aresetn high the fold counters advance if fire; with aresetn low they are set to 0.
// Paths       none from s_axis_tvalid or give to s_axis_tready or replay: both come from registers alone.

`default_nettype none

module snug_sequencer #(
    parameter NEURON_FOLDS  = 1,   // beats out of a frame, >= 1
    parameter PASSES        = NEURON_FOLDS,   // passes over each part of it, >= 1; divides NEURON_FOLDS
    parameter SYNAPSE_FOLDS = 1,   // beats of a part, >= 1
    parameter CREDITS       = 2,   // places of the exit queue, >= 1
    parameter FOLD_BITS     = 1,   // bits of `fold`, >= bits of NEURON_FOLDS * SYNAPSE_FOLDS - 1
    parameter NEURON_BITS   = 1,   // bits of `neuron`, >= bits of NEURON_FOLDS - 1
    parameter SYNAPSE_BITS  = 1    // bits of `synapse`, >= bits of SYNAPSE_FOLDS - 1
) (
    input  wire                    aclk,
    input  wire                    aresetn,

    input  wire                    s_axis_tvalid,
    output wire                    s_axis_tready,

    output wire                    fire,      // a fold runs in this cycle, described by the outputs below
    output wire                    replay,    // its beat comes from the buffer, not from the stream
    output wire [FOLD_BITS-1:0]    fold,      // neuron * SYNAPSE_FOLDS + synapse
    output wire [NEURON_BITS-1:0]  neuron,
    output wire [SYNAPSE_BITS-1:0] synapse,
    output wire                    first,     // synapse fold 0
    output wire                    last,      // synapse fold SYNAPSE_FOLDS - 1: produces a beat

    input  wire                    give       // a beat left the exit queue
`ifdef FORMAL
    , output wire [31:0]           f_credits  // credits left, for the claims of whoever uses them
`endif
);

    // The same numbers at the widths of the registers they meet.
    localparam [31:0]             NEURON_WIDE  = NEURON_FOLDS - 1;
    localparam [31:0]             PASS_WIDE    = PASSES - 1;
    localparam [31:0]             SYNAPSE_WIDE = SYNAPSE_FOLDS - 1;
    localparam [NEURON_BITS-1:0]  LAST_NEURON  = NEURON_WIDE[NEURON_BITS-1:0];
    localparam [NEURON_BITS-1:0]  LAST_PASS    = PASS_WIDE[NEURON_BITS-1:0];
    localparam [SYNAPSE_BITS-1:0] LAST_SYNAPSE = SYNAPSE_WIDE[SYNAPSE_BITS-1:0];

    reg [FOLD_BITS-1:0]    fold_reg,    fold_next;
    reg [NEURON_BITS-1:0]  neuron_reg,  neuron_next;
    reg [SYNAPSE_BITS-1:0] synapse_reg, synapse_next;
    reg                    again_reg,   again_next;   // the neuron fold is not the first of its part
    wire [NEURON_BITS-1:0] pass, pass_next;           // which of its part it is
    wire                   available;

    assign s_axis_tready = available & ~again_reg;
    assign replay        = available & again_reg;
    assign fire          = (s_axis_tready & s_axis_tvalid) | replay;
    assign fold          = fold_reg;
    assign neuron        = neuron_reg;
    assign synapse       = synapse_reg;
    assign first         = (synapse_reg == {SYNAPSE_BITS{1'b0}});
    assign last          = (synapse_reg == LAST_SYNAPSE);

    snug_credit #(.CREDITS(CREDITS)) credit (
        .aclk(aclk),
        .aresetn(aresetn),
        .take(fire & last),
        .available(available),
        .give(give)
`ifdef FORMAL
        , .f_count(f_credits)
`endif
    );

    always @* begin
        fold_next    = fold_reg;
        neuron_next  = neuron_reg;
        synapse_next = synapse_reg;

        if (fire) begin
            fold_next    = fold_reg + 1'b1;
            synapse_next = synapse_reg + 1'b1;
            if (last) begin
                synapse_next = {SYNAPSE_BITS{1'b0}};
                neuron_next  = neuron_reg + 1'b1;
                if (neuron_reg == LAST_NEURON) begin
                    neuron_next = {NEURON_BITS{1'b0}};
                    fold_next   = {FOLD_BITS{1'b0}};
                end
            end
        end

        again_next = (pass_next != {NEURON_BITS{1'b0}});
    end

    generate
        if (PASSES == NEURON_FOLDS) begin : g_whole
            assign pass      = neuron_reg;
            assign pass_next = neuron_next;
        end else if (PASSES == 1) begin : g_once
            assign pass      = {NEURON_BITS{1'b0}};
            assign pass_next = {NEURON_BITS{1'b0}};
        end else begin : g_parts
            reg [NEURON_BITS-1:0] pass_reg;
            assign pass      = pass_reg;
            assign pass_next = !(fire & last) ? pass_reg
                             : (pass_reg == LAST_PASS) ? {NEURON_BITS{1'b0}} : pass_reg + 1'b1;
            always @(posedge aclk)
                pass_reg <= aresetn ? pass_next : {NEURON_BITS{1'b0}};
        end
    endgenerate
    wire unused_pass = &{1'b0, pass, LAST_PASS};

    always @(posedge aclk) begin
        fold_reg    <= fold_next;
        neuron_reg  <= neuron_next;
        synapse_reg <= synapse_next;
        again_reg   <= again_next;

        if (!aresetn) begin
            fold_reg    <= {FOLD_BITS{1'b0}};
            neuron_reg  <= {NEURON_BITS{1'b0}};
            synapse_reg <= {SYNAPSE_BITS{1'b0}};
            again_reg   <= 1'b0;
        end
    end

`ifdef FORMAL
    // Nothing is assumed about the environment, nor about the state before the first reset.
    reg f_live = 1'b0;
    reg f_taken, f_took;      // the last edge took a fold; it had aresetn high
    reg [NEURON_BITS-1:0]  f_neuron;
    reg [SYNAPSE_BITS-1:0] f_synapse;

    always @(posedge aclk) begin
        f_taken   <= fire;
        f_took    <= aresetn;
        f_neuron  <= neuron_reg;
        f_synapse <= synapse_reg;
        if (!aresetn)
            f_live <= 1'b1;
    end

    // The order of the folds, said once more: synapse folds inside neuron folds, round and round.
    wire f_row_end   = (f_synapse == LAST_SYNAPSE);
    wire f_frame_end = f_row_end & (f_neuron == LAST_NEURON);

    always @* begin
        if (f_live) begin
            assert (neuron_reg <= LAST_NEURON);
            assert (synapse_reg <= LAST_SYNAPSE);
            assert (again_reg == (pass != {NEURON_BITS{1'b0}}));
            assert ({32'd0, pass} == {32'd0, neuron_reg} % PASSES);
            assert ({32'd0, fold_reg} == {32'd0, neuron_reg} * SYNAPSE_FOLDS + {32'd0, synapse_reg});
            assert (fire == (available & (again_reg | s_axis_tvalid)));
            assert (!(replay & s_axis_tready));
            if (!f_took) begin
                assert (neuron_reg == {NEURON_BITS{1'b0}});
                assert (synapse_reg == {SYNAPSE_BITS{1'b0}});
            end else if (!f_taken) begin
                assert (neuron_reg == f_neuron);
                assert (synapse_reg == f_synapse);
            end else begin
                assert (synapse_reg == (f_row_end ? {SYNAPSE_BITS{1'b0}} : f_synapse + 1'b1));
                assert (neuron_reg == (f_frame_end ? {NEURON_BITS{1'b0}} : f_row_end ? f_neuron + 1'b1 : f_neuron));
            end
        end
    end
`endif

endmodule

`default_nettype wire
