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
//                 s_axis_tready = available & (pass == 0)         replay = available & (pass != 0)     (registers)
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

    // The fold before the last, at the width of the register it meets; where there is one fold the comparison is never asked.
    localparam [31:0]             NEURON_LESS    = NEURON_FOLDS - 2;
    localparam [31:0]             SYNAPSE_LESS   = SYNAPSE_FOLDS - 2;
    localparam [NEURON_BITS-1:0]  BEFORE_NEURON  = NEURON_LESS[NEURON_BITS-1:0];
    localparam [SYNAPSE_BITS-1:0] BEFORE_SYNAPSE = SYNAPSE_LESS[SYNAPSE_BITS-1:0];

    reg [FOLD_BITS-1:0]    fold_reg,    fold_next;
    reg [NEURON_BITS-1:0]  neuron_reg,  neuron_next;
    reg [SYNAPSE_BITS-1:0] synapse_reg, synapse_next;
    reg                    again_reg,   again_next;   // the neuron fold is not the first of its part
    // Kept beside the counters, so that no comparison stands between them and who takes or makes a beat.
    reg                    first_reg,   first_next;   // the synapse fold is the first
    reg                    last_reg,    last_next;    // it is the last
    reg                    end_reg,     end_next;     // the neuron fold is the last
    wire                   part_end;                  // it is the last of its part
    wire [NEURON_BITS-1:0] pass;                      // which of its part it is
    // Credits are left, and the fold that comes takes a beat from the stream, or from the buffer: registers each, so that nothing
    // stands between them and the module before.
    reg                    ready_reg, replay_reg;
    wire                   available, soon;

    wire                   unused_ok = &{1'b0, available};   // both of them say it

    assign s_axis_tready = ready_reg;
    assign replay        = replay_reg;
    assign fire          = (ready_reg & s_axis_tvalid) | replay_reg;
    assign fold          = fold_reg;
    assign neuron        = neuron_reg;
    assign synapse       = synapse_reg;
    assign first         = first_reg;
    assign last          = last_reg;

    snug_credit #(.CREDITS(CREDITS)) credit (
        .aclk(aclk),
        .aresetn(aresetn),
        .take(fire & last),
        .available(available),
        .soon(soon),
        .give(give)
`ifdef FORMAL
        , .f_count(f_credits)
`endif
    );

    always @* begin
        fold_next    = fold_reg;
        neuron_next  = neuron_reg;
        synapse_next = synapse_reg;
        again_next   = again_reg;
        first_next   = first_reg;
        last_next    = last_reg;
        end_next     = end_reg;

        if (fire) begin
            fold_next    = fold_reg + 1'b1;
            synapse_next = synapse_reg + 1'b1;
            first_next   = 1'b0;
            last_next    = (synapse_reg == BEFORE_SYNAPSE);
            if (last_reg) begin
                synapse_next = {SYNAPSE_BITS{1'b0}};
                first_next   = 1'b1;
                last_next    = (SYNAPSE_FOLDS == 1);
                neuron_next  = neuron_reg + 1'b1;
                again_next   = ~part_end;
                end_next     = (neuron_reg == BEFORE_NEURON);
                if (end_reg) begin
                    neuron_next = {NEURON_BITS{1'b0}};
                    fold_next   = {FOLD_BITS{1'b0}};
                    end_next    = (NEURON_FOLDS == 1);
                end
            end
        end
    end

    generate
        if (PASSES == NEURON_FOLDS) begin : g_whole
            assign pass     = neuron_reg;
            assign part_end = end_reg;
        end else if (PASSES == 1) begin : g_once
            assign pass     = {NEURON_BITS{1'b0}};
            assign part_end = 1'b1;
        end else begin : g_parts
            localparam [31:0]            PASS_LESS   = PASSES - 2;
            localparam [NEURON_BITS-1:0] BEFORE_PASS = PASS_LESS[NEURON_BITS-1:0];
            reg [NEURON_BITS-1:0] pass_reg;
            reg                   turn_reg;   // the pass is the last
            assign pass     = pass_reg;
            assign part_end = turn_reg;
            always @(posedge aclk) begin
                if (fire & last_reg) begin
                    pass_reg <= turn_reg ? {NEURON_BITS{1'b0}} : pass_reg + 1'b1;
                    turn_reg <= !turn_reg & (pass_reg == BEFORE_PASS);
                end
                if (!aresetn) begin
                    pass_reg <= {NEURON_BITS{1'b0}};
                    turn_reg <= 1'b0;
                end
            end
        end
    endgenerate
    wire unused_pass = &{1'b0, pass};

    always @(posedge aclk) begin
        fold_reg    <= fold_next;
        neuron_reg  <= neuron_next;
        synapse_reg <= synapse_next;
        again_reg   <= again_next;
        first_reg   <= first_next;
        last_reg    <= last_next;
        end_reg     <= end_next;
        ready_reg   <= soon & ~again_next;
        replay_reg  <= soon & again_next;

        if (!aresetn) begin
            fold_reg    <= {FOLD_BITS{1'b0}};
            neuron_reg  <= {NEURON_BITS{1'b0}};
            synapse_reg <= {SYNAPSE_BITS{1'b0}};
            again_reg   <= 1'b0;
            first_reg   <= 1'b1;
            last_reg    <= (SYNAPSE_FOLDS == 1);
            end_reg     <= (NEURON_FOLDS == 1);
            ready_reg   <= 1'b0;
            replay_reg  <= 1'b0;
        end
    end

`ifdef FORMAL
    localparam [31:0]             NEURON_WIDE  = NEURON_FOLDS - 1;
    localparam [31:0]             SYNAPSE_WIDE = SYNAPSE_FOLDS - 1;
    localparam [31:0]             PASS_WIDE    = PASSES - 1;
    localparam [NEURON_BITS-1:0]  LAST_NEURON  = NEURON_WIDE[NEURON_BITS-1:0];
    localparam [NEURON_BITS-1:0]  LAST_PASS    = PASS_WIDE[NEURON_BITS-1:0];
    localparam [SYNAPSE_BITS-1:0] LAST_SYNAPSE = SYNAPSE_WIDE[SYNAPSE_BITS-1:0];

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
            assert (ready_reg == (available & ~again_reg));
            assert (replay_reg == (available & again_reg));
            assert (again_reg == (pass != {NEURON_BITS{1'b0}}));
            assert ({32'd0, pass} == {32'd0, neuron_reg} % PASSES);
            assert (part_end == (pass == LAST_PASS));
            assert (first_reg == (synapse_reg == {SYNAPSE_BITS{1'b0}}));
            assert (last_reg == (synapse_reg == LAST_SYNAPSE));
            assert (end_reg == (neuron_reg == LAST_NEURON));
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
