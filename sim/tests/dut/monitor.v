`default_nettype none

// The adder with its input stream (0) and output stream (1) printed, as generated monitors do.
module monitor #(
    parameter LANES = 3
) (
    input  wire               aclk,
    input  wire               aresetn,
    input  wire [8*LANES-1:0] s_axis_tdata,
    input  wire               s_axis_tvalid,
    output wire               s_axis_tready,
    input  wire               s_axis_tlast,
    output wire [31:0]        m_axis_tdata,
    output wire               m_axis_tvalid,
    input  wire               m_axis_tready,
    output wire               m_axis_tlast,
    output wire               frame_error
);

    reg [63:0] cycle_reg;

    accumulate #(.LANES(LANES)) dut (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready), .s_axis_tlast(s_axis_tlast),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast),
        .frame_error(frame_error)
    );

    always @(posedge aclk) begin
        cycle_reg <= aresetn ? cycle_reg + 64'd1 : 64'd0;
        if (aresetn && s_axis_tvalid && s_axis_tready) $display("SNUG 0 %0d %h", cycle_reg, s_axis_tdata);
        if (aresetn && m_axis_tvalid && m_axis_tready) $display("SNUG 1 %0d %h", cycle_reg, m_axis_tdata);
    end

endmodule

`default_nettype wire
