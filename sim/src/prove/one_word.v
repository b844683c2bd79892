module snug_one_word #(
    parameter MEMID = "", parameter INIT = 0, parameter SIZE = 1, parameter OFFSET = 0, parameter ABITS = 1, parameter WIDTH = 1,
    parameter RD_PORTS = 1, parameter RD_CLK_ENABLE = 0, parameter RD_CLK_POLARITY = 0, parameter RD_TRANSPARENCY_MASK = 0,
    parameter RD_COLLISION_X_MASK = 0, parameter RD_WIDE_CONTINUATION = 0, parameter RD_CE_OVER_SRST = 0,
    parameter RD_ARST_VALUE = 0, parameter RD_SRST_VALUE = 0, parameter RD_INIT_VALUE = 0,
    parameter WR_PORTS = 1, parameter WR_CLK_ENABLE = 1, parameter WR_CLK_POLARITY = 1, parameter WR_PRIORITY_MASK = 0,
    parameter WR_WIDE_CONTINUATION = 0
) (
    input  wire [RD_PORTS-1:0]       RD_CLK, RD_EN, RD_ARST, RD_SRST,
    input  wire [RD_PORTS*ABITS-1:0] RD_ADDR,
    output wire [RD_PORTS*WIDTH-1:0] RD_DATA,
    input  wire                      WR_CLK,
    input  wire [WIDTH-1:0]          WR_EN,
    input  wire [ABITS-1:0]          WR_ADDR,
    input  wire [WIDTH-1:0]          WR_DATA
);
    wire [ABITS-1:0] chosen;   // tied by the script
    reg  [WIDTH-1:0] word;
    reg  [ABITS-1:0] before;
    reg  started = 1'b0;
    always @(posedge WR_CLK) begin
        started <= 1'b1;
        before  <= chosen;
        if (WR_ADDR == chosen)
            word <= (WR_DATA & WR_EN) | (word & ~WR_EN);
    end
    always @* if (started)
        assert (chosen == before);
    genvar port;
    generate
        for (port = 0; port < RD_PORTS; port = port + 1) begin : ports
            wire [WIDTH-1:0] other = $anyseq;
            assign RD_DATA[port*WIDTH +: WIDTH] = (RD_ADDR[port*ABITS +: ABITS] == chosen) ? word : other;
        end
    endgenerate
endmodule
