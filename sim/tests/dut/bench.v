`timescale 1ns / 1ps
`default_nettype none

// Feeds two frames of ones to the adder and wants two sums; +sum=N says which, +silent has it say nothing.
module bench;

    reg aclk = 1'b0, aresetn = 1'b0;
    reg s_axis_tvalid = 1'b0;
    wire s_axis_tready, m_axis_tvalid, m_axis_tlast, frame_error;
    wire [31:0] m_axis_tdata;
    integer sent = 0, received = 0, wrong = 0, sum = 12;

    accumulate dut (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_tdata({3{8'd1}}), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready), .s_axis_tlast(sent % 4 == 3),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(1'b1), .m_axis_tlast(m_axis_tlast),
        .frame_error(frame_error)
    );

    always #5 aclk = !aclk;

    initial begin
        if ($value$plusargs("sum=%d", sum)) $display("note: sum %0d", sum);
        #20 @(negedge aclk) aresetn = 1'b1;
        s_axis_tvalid = 1'b1;
    end

    always @(posedge aclk) if (aresetn) begin
        if (s_axis_tvalid && s_axis_tready) sent <= sent + 1;
        if (m_axis_tvalid) begin
            received <= received + 1;
            if (m_axis_tdata !== sum || !m_axis_tlast || frame_error !== 1'b0) wrong <= wrong + 1;
        end
        if (received == 2) begin
            if ($test$plusargs("silent")) $display("nothing");
            else if (wrong == 0) $display("PASS %0d sums", received);
            else $display("FAIL %0d of %0d sums", wrong, received);
            $finish;
        end
    end

endmodule

`default_nettype wire
