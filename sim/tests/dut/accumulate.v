`default_nettype none

// Adds up signed bytes: LANES of them a beat, FRAME beats to one sum. One beat out a frame, sign-extended to OUT_BYTES.
module accumulate #(
    parameter LANES = 3,
    parameter FRAME = 4,
    parameter OUT_BYTES = 4
) (
    input  wire                   aclk,
    input  wire                   aresetn,
    input  wire [8*LANES-1:0]     s_axis_tdata,
    input  wire                   s_axis_tvalid,
    output wire                   s_axis_tready,
    input  wire                   s_axis_tlast,
    output wire [8*OUT_BYTES-1:0] m_axis_tdata,
    output wire                   m_axis_tvalid,
    input  wire                   m_axis_tready,
    output wire                   m_axis_tlast,
    output wire                   frame_error
);

    reg [15:0] count_reg;
    reg signed [31:0] sum_reg;
    reg signed [8*OUT_BYTES-1:0] out_reg;
    reg valid_reg, error_reg;

    reg signed [31:0] lanes;
    reg signed [7:0] lane;
    integer i;
    always @* begin
        lanes = 32'sd0;
        lane = 8'sd0;
        for (i = 0; i < LANES; i = i + 1) begin
            lane = s_axis_tdata[8*i +: 8];
            lanes = lanes + {{24{lane[7]}}, lane};
        end
    end

    wire final_beat = count_reg == FRAME - 1;
    wire signed [31:0] sum = (count_reg == 16'd0 ? 32'sd0 : sum_reg) + lanes;

    assign s_axis_tready = !valid_reg;
    assign m_axis_tvalid = valid_reg;
    assign m_axis_tdata = out_reg;
    assign m_axis_tlast = 1'b1;
    assign frame_error = error_reg;

    always @(posedge aclk) begin
        if (s_axis_tvalid && s_axis_tready) begin
            sum_reg <= sum;
            out_reg <= sum;
            count_reg <= final_beat ? 16'd0 : count_reg + 16'd1;
            valid_reg <= final_beat;
            if (s_axis_tlast != final_beat) error_reg <= 1'b1;
`ifdef TRAP
            if (sum > 32'sd1000) $display("%%Error: sum %0d", sum);
            if (sum > 32'sd1000) $stop;
`endif
        end
        if (m_axis_tvalid && m_axis_tready) valid_reg <= 1'b0;
        if (!aresetn) begin
            count_reg <= 16'd0;
            valid_reg <= 1'b0;
            error_reg <= 1'b0;
        end
    end

endmodule

`default_nettype wire
