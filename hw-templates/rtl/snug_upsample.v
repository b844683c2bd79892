// snug_upsample: every row of pixels is sent FACTOR_Y times, every pixel FACTOR_X times.
//
// Task        Nearest-neighbour upsampling (SPLIT = 0: a pixel goes out whole each time), or depth to space (SPLIT = 1: the
//             k-th time, the k-th of FACTOR_Y * FACTOR_X equal parts of the pixel goes out).
// Storage     A circular buffer of DEPTH beats, at least two rows: one is written while the other is read.
// Cycles      s_axis_tready is a register: some place of the buffer is free. A beat is read in every cycle in which its
//             pixel has been written (in an earlier cycle) and a credit is left; a row is freed when its last beat is read.
// Latency     1 cycle from the edge at which a beat is read to the edge that writes it into the exit queue.

`default_nettype none

module snug_upsample #(
    parameter WIDTH       = 8,   // bits of a beat
    parameter CHUNKS      = 1,   // beats of a pixel in
    parameter OUT_CHUNKS  = 1,   // beats of a pixel out: CHUNKS, or CHUNKS / (FACTOR_Y * FACTOR_X)
    parameter SPLIT       = 0,   // see Task
    parameter FACTOR_Y    = 1,
    parameter FACTOR_X    = 1,
    parameter IMAGE_WIDTH = 1,   // pixels of a row in
    parameter DEPTH       = 2,   // beats held, >= two rows
    parameter QUEUE       = 2    // places of the exit queue
) (
    input  wire             aclk,
    input  wire             aresetn,

    input  wire [WIDTH-1:0] s_axis_tdata,
    input  wire             s_axis_tvalid,
    output wire             s_axis_tready,

    output wire [WIDTH-1:0] m_axis_tdata,
    output wire             m_axis_tvalid,
    input  wire             m_axis_tready
`ifdef FORMAL
    // For the claims, which stand in a module around this one: see docs/proof.md.
    , output wire             f_fire       // a beat is read
    , output wire [31:0]      f_write, f_read, f_held, f_need, f_chunk, f_sub_x, f_pixel, f_sub_y
    , input  wire [31:0]      f_address    // any one place of the buffer, always the same
    , output wire [WIDTH-1:0] f_word       // and what it holds
    , output wire             f_valid      // a beat enters the exit queue
    , output wire             f_room       // which has room for it
    , output wire [WIDTH-1:0] f_entry   // its data
    , output wire [31:0]      f_credits    // credits left
    // The exit queue's beats: see snug_fifo.
    , output wire [31:0]      f_level
    , output wire             f_inside
    , output wire [31:0]      f_ahead
    , output wire [WIDTH-1:0] f_chosen
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

    // `value` modulo DEPTH, not negative.
    function integer wrapped;
        input integer value;
        begin
            wrapped = value % DEPTH;
            if (wrapped < 0)
                wrapped = wrapped + DEPTH;
        end
    endfunction

    localparam ADDR  = bits_for(DEPTH - 1);
    localparam LEVEL = bits_for(DEPTH);
    localparam CHUNK = bits_for(OUT_CHUNKS - 1);
    localparam SUB_Y = bits_for(FACTOR_Y - 1);
    localparam SUB_X = bits_for(FACTOR_X - 1);
    localparam PIXEL = bits_for(IMAGE_WIDTH - 1);

    // Address steps from the last beat of a part.
    localparam ROW = IMAGE_WIDTH * CHUNKS;
    localparam [31:0] AGAIN_X_WIDE = (SPLIT != 0) ? 1 : wrapped(1 - OUT_CHUNKS);
    localparam [31:0] PIXEL_WIDE   = (SPLIT != 0) ? wrapped(CHUNKS - FACTOR_X * OUT_CHUNKS + 1) : 1;
    localparam [31:0] AGAIN_Y_WIDE = (SPLIT != 0) ? wrapped(1 - (IMAGE_WIDTH - 1) * CHUNKS) : wrapped(1 - ROW);
    localparam [31:0] ONE_WIDE     = 1;

    localparam [31:0] ROW_WIDE       = ROW;
    localparam [31:0] CHUNKS_WIDE    = CHUNKS;
    localparam [31:0] DEPTH_WIDE     = DEPTH;
    localparam [31:0] DEPTH_END_WIDE = DEPTH - 1;
    localparam [31:0] CHUNK_WIDE     = OUT_CHUNKS - 1;
    localparam [31:0] SUB_Y_WIDE     = FACTOR_Y - 1;
    localparam [31:0] SUB_X_WIDE     = FACTOR_X - 1;
    localparam [31:0] LAST_WIDE      = IMAGE_WIDTH - 1;

    reg [WIDTH-1:0] mem [0:DEPTH-1];

    reg [ADDR-1:0]  write_reg, read_reg;
    reg [LEVEL-1:0] held_reg;    // beats written, from the first of the row that is read
    reg [LEVEL-1:0] need_reg;    // of those, needed for the pixel that is read
    reg             ready_reg;
    reg [CHUNK-1:0] chunk_reg;
    reg [SUB_X-1:0] sub_x_reg;
    reg [PIXEL-1:0] pixel_reg;
    reg [SUB_Y-1:0] sub_y_reg;

    assign s_axis_tready = ready_reg;

    wire available;
    wire push = s_axis_tvalid & ready_reg;
    wire fire = available & (held_reg >= need_reg);

    wire chunk_end = (chunk_reg == CHUNK_WIDE[CHUNK-1:0]);
    wire sub_x_end = chunk_end & (sub_x_reg == SUB_X_WIDE[SUB_X-1:0]);
    wire pass_end  = sub_x_end & (pixel_reg == LAST_WIDE[PIXEL-1:0]);
    wire row_end   = pass_end & (sub_y_reg == SUB_Y_WIDE[SUB_Y-1:0]);

    reg [31:0] step;   // address step; only the low ADDR bits of the chosen constant are used
    always @* begin
        if (!chunk_end | row_end)
            step = ONE_WIDE;
        else if (!sub_x_end)
            step = AGAIN_X_WIDE;
        else if (!pass_end)
            step = PIXEL_WIDE;
        else
            step = AGAIN_Y_WIDE;
    end
    wire [ADDR:0]   raw  = {1'b0, read_reg} + {1'b0, step[ADDR-1:0]};
    wire [ADDR:0]   low  = raw - DEPTH_WIDE[ADDR:0];
    wire [ADDR-1:0] next = (raw >= DEPTH_WIDE[ADDR:0]) ? low[ADDR-1:0] : raw[ADDR-1:0];
    wire unused_step = &{1'b0, step[31:ADDR], low[ADDR]};

    wire [LEVEL-1:0] freed     = (fire & row_end) ? ROW_WIDE[LEVEL-1:0] : {LEVEL{1'b0}};
    wire [LEVEL-1:0] held_next = held_reg - freed + {{(LEVEL-1){1'b0}}, push};

    always @(posedge aclk) begin
        if (push)
            write_reg <= (write_reg == DEPTH_END_WIDE[ADDR-1:0]) ? {ADDR{1'b0}} : write_reg + 1'b1;
        held_reg  <= held_next;
        ready_reg <= (held_next != DEPTH_WIDE[LEVEL-1:0]);

        if (fire) begin
            read_reg  <= next;
            chunk_reg <= chunk_end ? {CHUNK{1'b0}} : chunk_reg + 1'b1;
            if (chunk_end)
                sub_x_reg <= sub_x_end ? {SUB_X{1'b0}} : sub_x_reg + 1'b1;
            if (sub_x_end) begin
                pixel_reg <= pass_end ? {PIXEL{1'b0}} : pixel_reg + 1'b1;
                need_reg  <= pass_end ? CHUNKS_WIDE[LEVEL-1:0] : need_reg + CHUNKS_WIDE[LEVEL-1:0];
            end
            if (pass_end)
                sub_y_reg <= row_end ? {SUB_Y{1'b0}} : sub_y_reg + 1'b1;
        end

        if (!aresetn) begin
            write_reg <= {ADDR{1'b0}};
            read_reg  <= {ADDR{1'b0}};
            held_reg  <= {LEVEL{1'b0}};
            need_reg  <= CHUNKS_WIDE[LEVEL-1:0];
            ready_reg <= 1'b0;
            chunk_reg <= {CHUNK{1'b0}};
            sub_x_reg <= {SUB_X{1'b0}};
            pixel_reg <= {PIXEL{1'b0}};
            sub_y_reg <= {SUB_Y{1'b0}};
        end
    end

    reg [WIDTH-1:0] data_reg;
    always @(posedge aclk) begin
        if (push)
            mem[write_reg] <= s_axis_tdata;
        data_reg <= mem[read_reg];
    end

    snug_credit #(.CREDITS(QUEUE)) credit (
        .aclk(aclk),
        .aresetn(aresetn),
        .take(fire),
        .available(available),
        .give(m_axis_tvalid & m_axis_tready)
`ifdef FORMAL
        , .f_count(f_credits)
`endif
    );

    wire y_valid, queue_ready;
    snug_delay #(.WIDTH(1), .CYCLES(1), .RESET(1)) delay_valid (
        .aclk(aclk), .aresetn(aresetn), .d(fire), .q(y_valid)
    );
    snug_fifo #(.WIDTH(WIDTH), .DEPTH(QUEUE)) queue (
        .aclk(aclk),
        .aresetn(aresetn),
        .s_axis_tdata(data_reg),
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
    assign f_write = {{(32-ADDR){1'b0}}, write_reg};
    assign f_read  = {{(32-ADDR){1'b0}}, read_reg};
    assign f_held  = {{(32-LEVEL){1'b0}}, held_reg};
    assign f_need  = {{(32-LEVEL){1'b0}}, need_reg};
    assign f_chunk = {{(32-CHUNK){1'b0}}, chunk_reg};
    assign f_sub_x = {{(32-SUB_X){1'b0}}, sub_x_reg};
    assign f_pixel = {{(32-PIXEL){1'b0}}, pixel_reg};
    assign f_sub_y = {{(32-SUB_Y){1'b0}}, sub_y_reg};
    assign f_word  = mem[f_address[ADDR-1:0]];
    assign f_valid = y_valid;
    assign f_room  = queue_ready;
    assign f_entry = data_reg;
`endif

endmodule

`default_nettype wire
