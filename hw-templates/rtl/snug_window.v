// snug_window: a window slides over an image; each window leaves as one vector, beat by beat.
//
// Task        The image comes in row by row, pixel by pixel, CHUNKS beats a pixel. For each output pixel, row by row, the
//             window's places are sent: CHUNKS_INNER = 1: rows, columns, then the chunks of each place (for a
//             matrix-vector unit); 0: chunk by chunk, each with all places (for pooling). Places outside the image are sent
//             as FILL and take no beat from the input, so padding costs no input cycles.
// Storage     A circular buffer of DEPTH beats, one write and one read port: block RAM or LUT RAM, as the synthesizer likes.
//             A pixel's place is free again as soon as no later window of the frame needs it; of rows that leave together
//             (stride), the first goes pixel by pixel, the others with the row's last window. The next frame's pixels
//             follow at once.
// Cycles      s_axis_tready is a register: some place of the buffer is free. A beat is read in every cycle in which the
//             window's last pixel (the frame's, for its last window) has been written in an earlier cycle and a credit
//             is left; see snug_credit.
// Latency     1 cycle from the edge at which a beat is read to the edge that writes it into the exit queue.
// Coordinates Rows and columns are counted in the padded image: the image begins at (PAD_Y, PAD_X).

`default_nettype none

module snug_window #(
    parameter WIDTH         = 8,   // bits of a beat
    parameter [WIDTH-1:0] FILL = {WIDTH{1'b0}},   // what places outside the image hold
    parameter CHUNKS        = 1,   // beats of a pixel
    parameter CHUNKS_INNER  = 1,   // see Task
    parameter HEIGHT        = 1,   // of the image
    parameter IMAGE_WIDTH   = 1,
    parameter OUT_HEIGHT    = 1,   // windows
    parameter OUT_WIDTH     = 1,
    parameter KERNEL_Y      = 1,
    parameter KERNEL_X      = 1,
    parameter STRIDE_Y      = 1,
    parameter STRIDE_X      = 1,
    parameter DILATION_Y    = 1,
    parameter DILATION_X    = 1,
    parameter PAD_Y         = 0,   // rows above the image, less than the window's span
    parameter PAD_X         = 0,   // columns left of it
    parameter DEPTH         = 2,   // beats held, at most two frames
    parameter QUEUE         = 2    // places of the exit queue
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
    , output wire             f_window_end // the last of its window
    , output wire [31:0]      f_write, f_write_chunk, f_write_y, f_write_x, f_ahead_frames, f_free
    , output wire [31:0]      f_out_y, f_out_x, f_tap_y, f_tap_x, f_chunk, f_y, f_x, f_need_y, f_need_x
    , output wire [31:0]      f_window_y, f_window_x, f_window, f_read
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

    localparam SPAN_Y = (KERNEL_Y - 1) * DILATION_Y + 1;
    localparam SPAN_X = (KERNEL_X - 1) * DILATION_X + 1;
    localparam PADDED = (PAD_Y > 0) | (PAD_X > 0) | ((OUT_HEIGHT - 1) * STRIDE_Y + SPAN_Y > HEIGHT)
                      | ((OUT_WIDTH - 1) * STRIDE_X + SPAN_X > IMAGE_WIDTH);

    localparam ADDR  = bits_for(DEPTH - 1);
    // A stride beyond the kernel frees beats before they have come: more than DEPTH can be free.
    localparam LEVEL = bits_for(DEPTH + STRIDE_Y * IMAGE_WIDTH * CHUNKS);
    localparam CHUNK = bits_for(CHUNKS - 1);
    localparam TAP_Y = bits_for(KERNEL_Y - 1);
    localparam TAP_X = bits_for(KERNEL_X - 1);
    localparam OUT_Y = bits_for(OUT_HEIGHT - 1);
    localparam OUT_X = bits_for(OUT_WIDTH - 1);
    // Coordinates: those of the last window's end, and one past the image.
    localparam END_Y = (OUT_HEIGHT - 1) * STRIDE_Y + SPAN_Y;
    localparam END_X = (OUT_WIDTH - 1) * STRIDE_X + SPAN_X;
    localparam Y     = bits_for((END_Y > PAD_Y + HEIGHT ? END_Y : PAD_Y + HEIGHT) + STRIDE_Y);
    localparam X     = bits_for((END_X > PAD_X + IMAGE_WIDTH ? END_X : PAD_X + IMAGE_WIDTH) + STRIDE_X);

    // Address steps between the beats of a window, from a window to the next, and from a frame to the next.
    localparam ROW        = IMAGE_WIDTH * CHUNKS;
    localparam BACK       = (CHUNKS_INNER != 0) ? CHUNKS - 1 : 0;   // from a place's last beat to its first
    localparam TO_COLUMN  = DILATION_X * CHUNKS - BACK;
    localparam TO_ROW     = DILATION_Y * ROW - (KERNEL_X - 1) * DILATION_X * CHUNKS - BACK;
    localparam TO_CHUNK   = 1 - ((CHUNKS_INNER != 0) ? 0 : (KERNEL_Y - 1) * DILATION_Y * ROW + (KERNEL_X - 1) * DILATION_X * CHUNKS);
    localparam WINDOW_X   = STRIDE_X * CHUNKS;
    localparam WINDOW_Y   = STRIDE_Y * ROW - (OUT_WIDTH - 1) * STRIDE_X * CHUNKS;
    localparam WINDOW_END = (HEIGHT - (OUT_HEIGHT - 1) * STRIDE_Y) * ROW - (OUT_WIDTH - 1) * STRIDE_X * CHUNKS;
    localparam [31:0] TO_COLUMN_WIDE  = wrapped(TO_COLUMN);
    localparam [31:0] TO_ROW_WIDE     = wrapped(TO_ROW);
    localparam [31:0] TO_CHUNK_WIDE   = wrapped(TO_CHUNK);
    localparam [31:0] WINDOW_X_WIDE   = wrapped(WINDOW_X);
    localparam [31:0] WINDOW_Y_WIDE   = wrapped(WINDOW_Y);
    localparam [31:0] WINDOW_END_WIDE = wrapped(WINDOW_END);
    localparam [31:0] START_WIDE      = wrapped(-(PAD_Y * ROW + PAD_X * CHUNKS));
    localparam [31:0] DEPTH_WIDE      = DEPTH;
    localparam [31:0] DEPTH_END_WIDE  = DEPTH - 1;

    // What windows free, in beats. A window's row frees rows of the image from row FIRST_ROW on; before it, nothing.
    localparam FIRST_ROW   = PAD_Y / STRIDE_Y;
    localparam NO_ROW      = (FIRST_ROW > OUT_HEIGHT - 1);   // all is freed at once, with the last window
    localparam FIRST_RAW   = (PAD_X + STRIDE_X - 1) / STRIDE_X;
    localparam FIRST_COL   = (NO_ROW | (FIRST_RAW > OUT_WIDTH - 1)) ? OUT_WIDTH - 1 : FIRST_RAW;   // frees pixels from here on
    localparam BY_PIXELS   = (OUT_WIDTH - 1 - FIRST_COL) * STRIDE_X * CHUNKS;           // freed so, of a row
    localparam FIRST_ROWS  = (FIRST_ROW + 1) * STRIDE_Y - PAD_Y;                        // rows freed by row FIRST_ROW
    localparam BEFORE_LAST = (OUT_HEIGHT - 1 > FIRST_ROW) ? FIRST_ROWS + (OUT_HEIGHT - 2 - FIRST_ROW) * STRIDE_Y : 0;
    localparam [31:0] FREE_PIXEL_WIDE = STRIDE_X * CHUNKS;
    localparam [31:0] FREE_FIRST_WIDE = FIRST_ROWS * ROW - BY_PIXELS;
    localparam [31:0] FREE_ROW_WIDE   = STRIDE_Y * ROW - BY_PIXELS;
    localparam [31:0] FREE_LAST_WIDE  = (HEIGHT - BEFORE_LAST) * ROW - BY_PIXELS;
    // Wide enough for amounts that are never used, too: of rows that do not come.
    localparam FREE = bits_for(2 * HEIGHT * ROW + STRIDE_Y * ROW);

    localparam [31:0] CHUNK_WIDE   = CHUNKS - 1;
    localparam [31:0] TAP_Y_WIDE   = KERNEL_Y - 1;
    localparam [31:0] TAP_X_WIDE   = KERNEL_X - 1;
    localparam [31:0] OUT_Y_WIDE   = OUT_HEIGHT - 1;
    localparam [31:0] OUT_X_WIDE   = OUT_WIDTH - 1;
    localparam [31:0] FIRST_Y_WIDE = NO_ROW ? OUT_HEIGHT - 1 : FIRST_ROW;
    localparam [31:0] FIRST_X_WIDE = FIRST_COL;
    localparam [31:0] PAD_Y_WIDE   = PAD_Y;
    localparam [31:0] PAD_X_WIDE   = PAD_X;
    localparam [31:0] LAST_Y_WIDE  = PAD_Y + HEIGHT - 1;        // the image's last row and column
    localparam [31:0] LAST_X_WIDE  = PAD_X + IMAGE_WIDTH - 1;
    localparam [31:0] STEP_Y_WIDE  = STRIDE_Y;
    localparam [31:0] STEP_X_WIDE  = STRIDE_X;
    localparam [31:0] DIL_Y_WIDE   = DILATION_Y;
    localparam [31:0] DIL_X_WIDE   = DILATION_X;
    // The last row and column that the first window needs.
    localparam [31:0] NEED_Y_WIDE  = (SPAN_Y < PAD_Y + HEIGHT) ? SPAN_Y - 1 : PAD_Y + HEIGHT - 1;
    localparam [31:0] NEED_X_WIDE  = (SPAN_X < PAD_X + IMAGE_WIDTH) ? SPAN_X - 1 : PAD_X + IMAGE_WIDTH - 1;

    reg [WIDTH-1:0] mem [0:DEPTH-1];

    // Writer: address, coordinates of the pixel being written, complete frames that the reader has not finished.
    reg [ADDR-1:0]  write_reg;
    reg [CHUNK-1:0] write_chunk_reg;
    reg [Y-1:0]     write_y_reg;
    reg [X-1:0]     write_x_reg;
    reg [1:0]       ahead_reg;
    reg [LEVEL-1:0] free_reg;
    reg             ready_reg;

    // Reader: window, place in it, coordinates, addresses.
    reg [OUT_Y-1:0] out_y_reg;
    reg [OUT_X-1:0] out_x_reg;
    reg [TAP_Y-1:0] tap_y_reg;
    reg [TAP_X-1:0] tap_x_reg;
    reg [CHUNK-1:0] chunk_reg;
    reg [Y-1:0]     window_y_reg, y_reg, need_y_reg;
    reg [X-1:0]     window_x_reg, x_reg, need_x_reg;
    reg [ADDR-1:0]  window_reg, read_reg;

    assign s_axis_tready = ready_reg;

    wire push        = s_axis_tvalid & ready_reg;
    wire push_pixel  = push & (write_chunk_reg == CHUNK_WIDE[CHUNK-1:0]);
    wire push_row    = push_pixel & (write_x_reg == LAST_X_WIDE[X-1:0]);
    wire push_frame  = push_row & (write_y_reg == LAST_Y_WIDE[Y-1:0]);

    // The last window waits for the whole frame, of which no window may need the end: a frame leaves only when it is there.
    wire last_window = (out_x_reg == OUT_X_WIDE[OUT_X-1:0]) & (out_y_reg == OUT_Y_WIDE[OUT_Y-1:0]);
    wire passed  = (need_y_reg < write_y_reg) | ((need_y_reg == write_y_reg) & (need_x_reg < write_x_reg));
    wire written = (ahead_reg != 2'd0) | (passed & ~last_window);
    wire available;
    wire fire = available & written;

    // Which counters end with this beat.
    wire chunk_end = (chunk_reg == CHUNK_WIDE[CHUNK-1:0]);
    wire tap_x_end = (tap_x_reg == TAP_X_WIDE[TAP_X-1:0]);
    wire tap_y_end = (tap_y_reg == TAP_Y_WIDE[TAP_Y-1:0]);
    wire out_x_end = (out_x_reg == OUT_X_WIDE[OUT_X-1:0]);
    wire out_y_end = (out_y_reg == OUT_Y_WIDE[OUT_Y-1:0]);
    wire place_end = (CHUNKS_INNER != 0) ? chunk_end : 1'b1;   // go on to another place
    wire taps_end  = tap_x_end & tap_y_end & place_end;        // all places sent
    wire window_end = taps_end & chunk_end;
    wire frame_end  = window_end & out_x_end & out_y_end;

    reg [31:0] step;   // address step; only the low ADDR bits of the chosen constant are used
    always @* begin
        if (window_end)
            step = !out_x_end ? WINDOW_X_WIDE : !out_y_end ? WINDOW_Y_WIDE : WINDOW_END_WIDE;
        else if (!place_end | taps_end)
            step = TO_CHUNK_WIDE;
        else if (!tap_x_end)
            step = TO_COLUMN_WIDE;
        else
            step = TO_ROW_WIDE;
    end
    wire [ADDR:0]   raw  = {1'b0, window_end ? window_reg : read_reg} + {1'b0, step[ADDR-1:0]};
    wire [ADDR:0]   low  = raw - DEPTH_WIDE[ADDR:0];
    wire [ADDR-1:0] next = (raw >= DEPTH_WIDE[ADDR:0]) ? low[ADDR-1:0] : raw[ADDR-1:0];
    wire unused_step = &{1'b0, step[31:ADDR], low[ADDR]};

    // Beats that the end of this window frees.
    wire early_row, early_column;   // nothing is freed yet: the padded border is above, or to the left
    generate
        if ((FIRST_ROW > 0) & (OUT_HEIGHT > 1)) begin : above
            assign early_row = out_y_reg < FIRST_Y_WIDE[OUT_Y-1:0];
        end else begin : not_above
            assign early_row = 1'b0;
        end
        if (FIRST_COL > 0) begin : left
            assign early_column = out_x_reg < FIRST_X_WIDE[OUT_X-1:0];
        end else begin : not_left
            assign early_column = 1'b0;
        end
    endgenerate

    reg [FREE-1:0] freed;
    always @* begin
        if (out_x_end & out_y_end)
            freed = FREE_LAST_WIDE[FREE-1:0];
        else if (early_row)
            freed = {FREE{1'b0}};
        else if (out_x_end)
            freed = (out_y_reg == FIRST_Y_WIDE[OUT_Y-1:0]) ? FREE_FIRST_WIDE[FREE-1:0] : FREE_ROW_WIDE[FREE-1:0];
        else
            freed = early_column ? {FREE{1'b0}} : FREE_PIXEL_WIDE[FREE-1:0];
    end
    wire [FREE-1:0]  freed_now = (fire & window_end) ? freed : {FREE{1'b0}};
    wire [LEVEL-1:0] free_next = free_reg + freed_now[LEVEL-1:0] - {{(LEVEL-1){1'b0}}, push};
    wire unused_freed = &{1'b0, freed_now};

    wire [Y-1:0] need_y_step = need_y_reg + STEP_Y_WIDE[Y-1:0];
    wire [X-1:0] need_x_step = need_x_reg + STEP_X_WIDE[X-1:0];

    always @(posedge aclk) begin
        if (push) begin
            write_reg       <= (write_reg == DEPTH_END_WIDE[ADDR-1:0]) ? {ADDR{1'b0}} : write_reg + 1'b1;
            write_chunk_reg <= push_pixel ? {CHUNK{1'b0}} : write_chunk_reg + 1'b1;
        end
        if (push_pixel)
            write_x_reg <= push_row ? PAD_X_WIDE[X-1:0] : write_x_reg + 1'b1;
        if (push_row)
            write_y_reg <= push_frame ? PAD_Y_WIDE[Y-1:0] : write_y_reg + 1'b1;
        ahead_reg <= ahead_reg + {1'b0, push_frame} - {1'b0, fire & frame_end};
        free_reg  <= free_next;
        ready_reg <= (free_next != {LEVEL{1'b0}});

        if (fire) begin
            read_reg <= next;
            if ((CHUNKS_INNER != 0) | taps_end)
                chunk_reg <= chunk_end ? {CHUNK{1'b0}} : chunk_reg + 1'b1;
            if (place_end) begin
                tap_x_reg <= tap_x_end ? {TAP_X{1'b0}} : tap_x_reg + 1'b1;
                x_reg     <= tap_x_end ? window_x_reg : x_reg + DIL_X_WIDE[X-1:0];
                if (tap_x_end) begin
                    tap_y_reg <= tap_y_end ? {TAP_Y{1'b0}} : tap_y_reg + 1'b1;
                    y_reg     <= tap_y_end ? window_y_reg : y_reg + DIL_Y_WIDE[Y-1:0];
                end
            end
            if (window_end) begin
                window_reg   <= next;
                out_x_reg    <= out_x_end ? {OUT_X{1'b0}} : out_x_reg + 1'b1;
                window_x_reg <= out_x_end ? {X{1'b0}} : window_x_reg + STEP_X_WIDE[X-1:0];
                x_reg        <= out_x_end ? {X{1'b0}} : window_x_reg + STEP_X_WIDE[X-1:0];
                need_x_reg   <= out_x_end ? NEED_X_WIDE[X-1:0]
                              : (need_x_step > LAST_X_WIDE[X-1:0]) ? LAST_X_WIDE[X-1:0] : need_x_step;
                if (out_x_end) begin
                    out_y_reg    <= out_y_end ? {OUT_Y{1'b0}} : out_y_reg + 1'b1;
                    window_y_reg <= out_y_end ? {Y{1'b0}} : window_y_reg + STEP_Y_WIDE[Y-1:0];
                    y_reg        <= out_y_end ? {Y{1'b0}} : window_y_reg + STEP_Y_WIDE[Y-1:0];
                    need_y_reg   <= out_y_end ? NEED_Y_WIDE[Y-1:0]
                                  : (need_y_step > LAST_Y_WIDE[Y-1:0]) ? LAST_Y_WIDE[Y-1:0] : need_y_step;
                end
            end
        end

        if (!aresetn) begin
            write_reg       <= {ADDR{1'b0}};
            write_chunk_reg <= {CHUNK{1'b0}};
            write_y_reg     <= PAD_Y_WIDE[Y-1:0];
            write_x_reg     <= PAD_X_WIDE[X-1:0];
            ahead_reg       <= 2'd0;
            free_reg        <= DEPTH_WIDE[LEVEL-1:0];
            ready_reg       <= 1'b0;
            out_y_reg       <= {OUT_Y{1'b0}};
            out_x_reg       <= {OUT_X{1'b0}};
            tap_y_reg       <= {TAP_Y{1'b0}};
            tap_x_reg       <= {TAP_X{1'b0}};
            chunk_reg       <= {CHUNK{1'b0}};
            window_y_reg    <= {Y{1'b0}};
            window_x_reg    <= {X{1'b0}};
            y_reg           <= {Y{1'b0}};
            x_reg           <= {X{1'b0}};
            need_y_reg      <= NEED_Y_WIDE[Y-1:0];
            need_x_reg      <= NEED_X_WIDE[X-1:0];
            window_reg      <= START_WIDE[ADDR-1:0];
            read_reg        <= START_WIDE[ADDR-1:0];
        end
    end

    // The buffer's read register, and whether the place is outside the image.
    wire above_image, left_of_image;
    generate
        if (PAD_Y > 0) begin : top_border
            assign above_image = y_reg < PAD_Y_WIDE[Y-1:0];
        end else begin : no_top_border
            assign above_image = 1'b0;
        end
        if (PAD_X > 0) begin : left_border
            assign left_of_image = x_reg < PAD_X_WIDE[X-1:0];
        end else begin : no_left_border
            assign left_of_image = 1'b0;
        end
    endgenerate
    wire outside = above_image | left_of_image | (y_reg > LAST_Y_WIDE[Y-1:0]) | (x_reg > LAST_X_WIDE[X-1:0]);
    reg [WIDTH-1:0] data_reg;
    reg             fill_reg;
    always @(posedge aclk) begin
        if (push)
            mem[write_reg] <= s_axis_tdata;
        data_reg <= mem[read_reg];
        fill_reg <= (PADDED != 0) ? outside : 1'b0;
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
        .s_axis_tdata(fill_reg ? FILL : data_reg),
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
    assign f_fire         = fire;
    assign f_window_end   = window_end;
    assign f_write        = {{(32-ADDR){1'b0}}, write_reg};
    assign f_write_chunk  = {{(32-CHUNK){1'b0}}, write_chunk_reg};
    assign f_write_y      = {{(32-Y){1'b0}}, write_y_reg};
    assign f_write_x      = {{(32-X){1'b0}}, write_x_reg};
    assign f_ahead_frames = {30'd0, ahead_reg};
    assign f_free         = {{(32-LEVEL){1'b0}}, free_reg};
    assign f_out_y        = {{(32-OUT_Y){1'b0}}, out_y_reg};
    assign f_out_x        = {{(32-OUT_X){1'b0}}, out_x_reg};
    assign f_tap_y        = {{(32-TAP_Y){1'b0}}, tap_y_reg};
    assign f_tap_x        = {{(32-TAP_X){1'b0}}, tap_x_reg};
    assign f_chunk        = {{(32-CHUNK){1'b0}}, chunk_reg};
    assign f_y            = {{(32-Y){1'b0}}, y_reg};
    assign f_x            = {{(32-X){1'b0}}, x_reg};
    assign f_need_y       = {{(32-Y){1'b0}}, need_y_reg};
    assign f_need_x       = {{(32-X){1'b0}}, need_x_reg};
    assign f_window_y     = {{(32-Y){1'b0}}, window_y_reg};
    assign f_window_x     = {{(32-X){1'b0}}, window_x_reg};
    assign f_window       = {{(32-ADDR){1'b0}}, window_reg};
    assign f_read         = {{(32-ADDR){1'b0}}, read_reg};
    assign f_word         = mem[f_address[ADDR-1:0]];
    assign f_valid        = y_valid;
    assign f_room         = queue_ready;
    assign f_entry        = fill_reg ? FILL : data_reg;
`endif

endmodule

`default_nettype wire
