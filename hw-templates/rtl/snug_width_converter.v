// snug_width_converter: the same elements of a vector, another number of lanes.
//
// Task        A shift register counted in units of UNIT_WIDTH bits. A beat in appends INPUT_UNITS units, the last beat
//             of a vector LAST_UNITS (what is left of the vector, and padding so that it ends in a whole output
//             beat); a beat out removes OUTPUT_UNITS. Padding carries 0; it may begin within a unit.
// Cycles      Let `level` be the number of units held. At each edge with aresetn high
//                 level <= level + appended - removed            (kept as a thermometer, see below)
//                 s_axis_tready <= (new level + largest append <= CAPACITY)
//                 m_axis_tvalid <= (new level >= OUTPUT_UNITS)
//             An edge with aresetn low sets level, the beat counter and both handshake registers to 0.
// Latency     1: a beat taken at one edge can leave at the next, if it completes an output beat.
// Throughput  full on the busier side, if CAPACITY - largest append >= OUTPUT_UNITS + min(OUTPUT_UNITS, append) - 1.
// Paths       none from m_axis_tready or s_axis_tvalid to any handshake output.

`default_nettype none

module snug_width_converter #(
    parameter UNIT_WIDTH   = 8,   // bits of a unit
    parameter INPUT_WIDTH  = 8,   // bits of a beat in, <= the largest append
    parameter INPUT_UNITS  = 1,   // units appended by a beat, >= 1
    parameter LAST_UNITS   = 1,   // units appended by the last beat of a vector, >= 1
    parameter LAST_WIDTH   = 8,   // bits of those that come from the beat, <= INPUT_WIDTH; the rest is padding
    parameter BEATS        = 1,   // beats in of a vector, >= 1
    parameter OUTPUT_UNITS = 1,   // units of a beat out, >= 1
    parameter CAPACITY     = 2    // units held, >= OUTPUT_UNITS + largest append
) (
    input  wire                               aclk,
    input  wire                               aresetn,

    input  wire [INPUT_WIDTH-1:0]             s_axis_tdata,
    input  wire                               s_axis_tvalid,
    output wire                               s_axis_tready,

    output wire [OUTPUT_UNITS*UNIT_WIDTH-1:0] m_axis_tdata,
    output wire                               m_axis_tvalid,
    input  wire                               m_axis_tready
`ifdef FORMAL
    // For the claims of whoever uses it.
    , output wire [31:0]                        f_level   // units held
    , output wire [31:0]                        f_beat    // number of the next beat of the vector
    , output wire [CAPACITY*UNIT_WIDTH-1:0]     f_held    // the units, the oldest in the low bits
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

    localparam LARGEST  = (LAST_UNITS > INPUT_UNITS) ? LAST_UNITS : INPUT_UNITS;
    localparam APPENDED = LARGEST * UNIT_WIDTH;
    localparam PLACES   = CAPACITY - LARGEST + 1;   // where a beat may be appended: behind 0 .. PLACES - 1 units
    localparam COUNT    = bits_for(BEATS - 1);

    // The number of the beat before the last at the width of the register it meets; never asked for if there is one beat.
    localparam [31:0]      BEFORE_WIDE = BEATS - 2;
    localparam [COUNT-1:0] BEFORE_LAST = BEFORE_WIDE[COUNT-1:0];

    // The level as a thermometer: bit i is set where more than i units are held. What is asked of it (a whole beat held, room for
    // a beat, the place of the next one) is a bit or two of it, and push and pop move it by shifts.
    reg [CAPACITY*UNIT_WIDTH-1:0] data_reg;
    reg [CAPACITY-1:0]            filled_reg, filled_next;
    reg [COUNT-1:0]               beat_reg,   beat_next;
    reg                           last_reg,   last_next;   // the next beat is a vector's last
    reg                           ready_reg,  ready_next;

    wire push = s_axis_tvalid & ready_reg;
    wire pop  = m_axis_tvalid & m_axis_tready;

    assign s_axis_tready = ready_reg;
    assign m_axis_tvalid = filled_reg[OUTPUT_UNITS-1];
    assign m_axis_tdata  = data_reg[OUTPUT_UNITS*UNIT_WIDTH-1:0];

    // The beat as it is appended: LARGEST units, padding 0.
    wire [APPENDED-1:0] whole_beat;
    wire [APPENDED-1:0] last_beat;
    wire [APPENDED-1:0] beat = last_reg ? last_beat : whole_beat;

    generate
        if (INPUT_WIDTH < APPENDED) begin : filled_up
            assign whole_beat = {{(APPENDED-INPUT_WIDTH){1'b0}}, s_axis_tdata};
        end else begin : as_it_is
            assign whole_beat = s_axis_tdata;
        end
        if (LAST_WIDTH < APPENDED) begin : last_filled_up
            assign last_beat = {{(APPENDED-LAST_WIDTH){1'b0}}, s_axis_tdata[LAST_WIDTH-1:0]};
        end else begin : last_as_it_is
            assign last_beat = s_axis_tdata;
        end
    endgenerate

    // Units left after the removal: a beat is appended behind them.
    wire [CAPACITY-1:0] kept = pop ? filled_reg >> OUTPUT_UNITS : filled_reg;

    // A unit that is held stays, or moves down with a removal. What is not held may be anything: it takes what the beat would put
    // there, whether one comes or not, so that data waits for neither side's handshake. A register that is written without a removal
    // is not held, and then nor are the units above it: whether one of those moves down need not ask for the removal.
    genvar at;
    generate
        for (at = 0; at < CAPACITY; at = at + 1) begin : units
            localparam FIRST = (at < LARGEST) ? 0 : at - LARGEST + 1;   // places from which a beat reaches here
            localparam LAST  = (at < PLACES) ? at : PLACES - 1;
            reg [UNIT_WIDTH-1:0] appended;
            integer              place;
            always @* begin
                appended = beat[(at-FIRST)*UNIT_WIDTH +: UNIT_WIDTH];
                for (place = FIRST + 1; place <= LAST; place = place + 1)
                    if (kept[place-1])
                        appended = beat[(at-place)*UNIT_WIDTH +: UNIT_WIDTH];
            end
            wire [UNIT_WIDTH-1:0] next;
            if (at + OUTPUT_UNITS < CAPACITY) begin : moves
                assign next = filled_reg[at+OUTPUT_UNITS]
                    ? data_reg[(at+OUTPUT_UNITS)*UNIT_WIDTH +: UNIT_WIDTH] : appended;
            end else begin : top
                assign next = appended;
            end
            always @(posedge aclk)
                if (pop | ~filled_reg[at])
                    data_reg[at*UNIT_WIDTH +: UNIT_WIDTH] <= next;
        end
    endgenerate

    always @* begin
        filled_next = kept;
        beat_next   = beat_reg;
        last_next   = last_reg;
        if (push) begin
            filled_next = last_reg ? (kept << LAST_UNITS) | ~({CAPACITY{1'b1}} << LAST_UNITS)
                                   : (kept << INPUT_UNITS) | ~({CAPACITY{1'b1}} << INPUT_UNITS);
            beat_next   = last_reg ? {COUNT{1'b0}} : beat_reg + 1'b1;
            last_next   = (BEATS == 1) | (~last_reg & (beat_reg == BEFORE_LAST));
        end

        ready_next = ~filled_next[PLACES-1];
    end

    always @(posedge aclk) begin
        filled_reg <= filled_next;
        beat_reg   <= beat_next;
        last_reg   <= last_next;
        ready_reg  <= ready_next;

        if (!aresetn) begin
            filled_reg <= {CAPACITY{1'b0}};
            beat_reg   <= {COUNT{1'b0}};
            last_reg   <= (BEATS == 1);
            ready_reg  <= 1'b0;
        end
    end

`ifdef FORMAL
    // The level as a number.
    localparam LEVEL = bits_for(CAPACITY);
    localparam [31:0]      APPEND_WIDE   = INPUT_UNITS;
    localparam [31:0]      LAST_WIDE     = LAST_UNITS;
    localparam [31:0]      REMOVE_WIDE   = OUTPUT_UNITS;
    localparam [31:0]      ROOM_WIDE     = CAPACITY - LARGEST;
    localparam [31:0]      CAPACITY_WIDE = CAPACITY;
    localparam [31:0]      BEAT_WIDE     = BEATS - 1;
    localparam [LEVEL-1:0] APPEND        = APPEND_WIDE[LEVEL-1:0];
    localparam [LEVEL-1:0] APPEND_LAST   = LAST_WIDE[LEVEL-1:0];
    localparam [LEVEL-1:0] REMOVE        = REMOVE_WIDE[LEVEL-1:0];
    localparam [LEVEL-1:0] ROOM          = ROOM_WIDE[LEVEL-1:0];
    localparam [LEVEL-1:0] ALL           = CAPACITY_WIDE[LEVEL-1:0];
    localparam [COUNT-1:0] LAST_BEAT     = BEAT_WIDE[COUNT-1:0];
    reg [LEVEL-1:0] f_level_reg;
    wire            last = (beat_reg == LAST_BEAT);
    assign f_level = {{(32-LEVEL){1'b0}}, f_level_reg};
    assign f_beat  = {{(32-COUNT){1'b0}}, beat_reg};
    assign f_held  = data_reg;

    // Nothing is assumed about the environment, nor about the state before the first reset; everything below is
    // claimed from the first edge with aresetn low onwards.
    reg f_live = 1'b0;
    reg f_ran;   // the last edge had aresetn high

    // Units are numbered as they enter and as they leave, modulo 2^LEVEL; at most CAPACITY < 2^LEVEL are inside, so no
    // two of them share a number. f_index is any one number: the unit that leaves under it must carry the data that
    // entered under it (0 where it is padding). That is: nothing lost, doubled, reordered or altered.
    wire [LEVEL-1:0]      f_index = $anyconst;
    reg  [LEVEL-1:0]      f_in, f_out;
    reg  [UNIT_WIDTH-1:0] f_data;
    wire [LEVEL-1:0]      f_enters = f_index - f_in;    // which unit of the beat that enters has that number
    wire [LEVEL-1:0]      f_ahead  = f_index - f_out;
    wire [LEVEL-1:0]      f_count  = last ? APPEND_LAST : APPEND;

    // The unit of the beat, said once more: what is data of it, and 0 where it is padding.
    wire [31:0]           f_bits  = last ? LAST_WIDTH : INPUT_WIDTH;
    wire [APPENDED:0]     f_beat_data = {{(APPENDED-INPUT_WIDTH+1){1'b0}}, s_axis_tdata} & ~({(APPENDED+1){1'b1}} << f_bits);
    wire [UNIT_WIDTH-1:0] f_unit  = f_beat_data[f_enters*UNIT_WIDTH +: UNIT_WIDTH];

    // What the module showed before the last edge.
    reg                               f_waiting = 1'b0;
    reg [OUTPUT_UNITS*UNIT_WIDTH-1:0] f_waiting_data;

    always @(posedge aclk) begin
        f_level_reg <= f_level_reg + (push ? f_count : {LEVEL{1'b0}}) - (pop ? REMOVE : {LEVEL{1'b0}});
        if (push)
            f_in <= f_in + f_count;
        if (pop)
            f_out <= f_out + REMOVE;
        if (push & (f_enters < f_count))
            f_data <= f_unit;

        f_waiting      <= m_axis_tvalid & ~m_axis_tready;
        f_waiting_data <= m_axis_tdata;
        f_ran          <= aresetn;

        if (!aresetn) begin
            f_live      <= 1'b1;
            f_level_reg <= {LEVEL{1'b0}};
            f_in      <= {LEVEL{1'b0}};
            f_out     <= {LEVEL{1'b0}};
            f_waiting <= 1'b0;
        end
    end

    always @* begin
        if (f_live) begin
            assert (f_level_reg <= ALL);
            assert (f_level_reg == f_in - f_out);
            assert (filled_reg == ~({CAPACITY{1'b1}} << f_level_reg));
            assert (beat_reg <= LAST_BEAT);
            assert (last_reg == last);
            assert (m_axis_tvalid == (f_level_reg >= REMOVE));
            assert (ready_reg == (f_ran & (f_level_reg <= ROOM)));
            if (f_waiting) begin
                assert (m_axis_tvalid);
                assert (m_axis_tdata == f_waiting_data);
            end
            if (f_ahead < f_level_reg)
                assert (data_reg[f_ahead*UNIT_WIDTH +: UNIT_WIDTH] == f_data);
        end
    end
`endif

endmodule

`default_nettype wire
