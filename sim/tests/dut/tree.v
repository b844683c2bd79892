// Counted by hand: two leaves of 8 and one of 12 registers, each an adder with itself xor its input.
module leaf #(
    parameter W = 8
) (
    input  wire         clk,
    input  wire [W-1:0] a,
    output reg  [W-1:0] q
);
    always @(posedge clk) q <= q + a;
endmodule

module tree (
    input  wire        clk,
    input  wire [7:0]  a,
    input  wire [11:0] b,
    output wire [7:0]  q,
    output wire [7:0]  r,
    output wire [11:0] s,
    output wire        t
);
    leaf #(.W(8)) first (.clk(clk), .a(a), .q(q));
    leaf #(.W(8)) second (.clk(clk), .a(~q), .q(r));
    leaf #(.W(12)) third (.clk(clk), .a(b), .q(s));
    assign t = ^a[5:0];
endmodule
