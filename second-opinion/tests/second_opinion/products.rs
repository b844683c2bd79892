//! Why no arithmetic comes from rust-hdl: its Verilog for a widened signed product computes something else than its
//! simulator, and nothing warns. Should this test fail one day because the two agree, rust-hdl has been mended, and
//! design and documentation may be looked at again.

use rust_hdl_core::prelude::*;
use second_opinion::product::{MultiplyAccumulate, WideMultiplyAccumulate};
use second_opinion::verilog;

use crate::tools::{have, run};

/// Four times -300 * 300.
const TRUE_SUM: i64 = -360_000;
/// Four times -90,000 cut to its low 16 bits and read as signed, which is -24,464.
const WRONG_SUM: i64 = -97_856;

macro_rules! simulated {
    ($block:ty) => {{
        let mut block = <$block>::default();
        block.connect_all();
        block.a.next = Signed::from(-300);
        block.b.next = Signed::from(300);
        assert!(simulate(&mut block, 50));
        for _ in 0..4 {
            for high in [true, false] {
                block.clock.next = high.into();
                assert!(simulate(&mut block, 50));
            }
        }
        block.sum.val().bigint().to_string()
    }};
}

/// What `verilog` adds up to in Icarus.
fn in_icarus(verilog: &str, width: usize) -> String {
    let bench = format!(
        "module bench;
    reg clock;
    reg signed [15:0] a, b;
    wire signed [{last}:0] sum;
    mac dut (.clock(clock), .a(a), .b(b), .sum(sum));
    initial begin
        a = -300;
        b = 300;
        clock = 0;
        repeat (4) begin
            #1 clock = 1;
            #1 clock = 0;
        end
        #1 $display(\"%0d\", sum);
    end
endmodule
",
        last = width - 1
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bench.v"), bench).unwrap();
    std::fs::write(folder.path().join("mac.v"), verilog).unwrap();
    let (ok, text) = run("iverilog", folder.path(), &["-g2005", "-s", "bench", "-o", "bench", "bench.v", "mac.v"]);
    assert!(ok, "{text}");
    run("vvp", folder.path(), &["-n", "bench"]).1.trim().to_owned()
}

#[test]
fn a_product_that_needs_no_widening_is_right() {
    let printed = verilog(MultiplyAccumulate::default(), "mac");
    assert!(printed.contains("acc$q + a * b"), "{printed}");
    assert_eq!(simulated!(MultiplyAccumulate), TRUE_SUM.to_string());
    if have("iverilog", "-V") {
        assert_eq!(in_icarus(&printed, 32), TRUE_SUM.to_string());
    }
}

#[test]
fn a_widened_product_is_silently_wrong_in_verilog() {
    let printed = verilog(WideMultiplyAccumulate::default(), "mac");
    // The argument of $signed is self-determined (IEEE 1364-2005, 5.5): the product has the width of its factors.
    assert!(printed.contains("acc$q + $signed(a * b)"), "{printed}");
    assert_eq!(simulated!(WideMultiplyAccumulate), TRUE_SUM.to_string());
    if have("iverilog", "-V") {
        assert_eq!(in_icarus(&printed, 40), WRONG_SUM.to_string());
    }
}
