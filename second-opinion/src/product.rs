//! The smallest blocks that show where rust-hdl 0.46 compiles signed products wrongly.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Adds `a * b` to a register of 32 bits at every rising edge: the width that rust-hdl gives a product of two
/// `Signed<16>`. Its Verilog, `acc + a * b`, is right.
#[derive(LogicBlock, Default)]
pub struct MultiplyAccumulate {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// First factor.
    pub a: Signal<In, Signed<16>>,
    /// Second factor.
    pub b: Signal<In, Signed<16>>,
    /// The register.
    pub sum: Signal<Out, Signed<32>>,
    acc: DFF<Signed<32>>,
}

impl Logic for MultiplyAccumulate {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, acc);
        self.acc.d.next = self.acc.q.val() + self.a.val() * self.b.val();
        self.sum.next = self.acc.q.val();
    }
}

/// The same with a register of 40 bits, so that the product has to be widened. rust-hdl's simulator widens the
/// product of 32 bits; its Verilog says `acc + $signed(a * b)`, and as the argument of `$signed` stands on its own,
/// the product there has only the 16 bits of its factors.
#[derive(LogicBlock, Default)]
pub struct WideMultiplyAccumulate {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// First factor.
    pub a: Signal<In, Signed<16>>,
    /// Second factor.
    pub b: Signal<In, Signed<16>>,
    /// The register.
    pub sum: Signal<Out, Signed<40>>,
    acc: DFF<Signed<40>>,
}

impl Logic for WideMultiplyAccumulate {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, acc);
        self.acc.d.next = self.acc.q.val() + signed_bit_cast::<40, 32>(self.a.val() * self.b.val());
        self.sum.next = self.acc.q.val();
    }
}
