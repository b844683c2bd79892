//! A credit counter that counts in ones.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Counter of `CREDITS` credits; `PLACES` must be `CREDITS + 2` (rust-hdl has no arithmetic on constant parameters).
///
/// The credits in use are a row of ones that grows and shrinks at its upper end: place i + 1 is one if more than i are
/// in use. Place 0 is one from the first edge on and the last place always zero, so that every
/// place between has two neighbours.
#[derive(LogicBlock)]
pub struct Credit<const CREDITS: usize, const PLACES: usize> {
    /// Clock; everything happens at its rising edge.
    pub aclk: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub aresetn: Signal<In, Bit>,
    /// A beat asks to enter.
    pub take: Signal<In, Bit>,
    /// It may.
    pub available: Signal<Out, Bit>,
    /// A beat leaves.
    pub give: Signal<In, Bit>,
    used: [DFF<Bit>; PLACES],
    ready: DFF<Bit>,
    grow: Signal<Local, Bit>,
    shrink: Signal<Local, Bit>,
    /// Next state of each place, reset left out.
    after: [Signal<Local, Bit>; PLACES],
}

impl<const CREDITS: usize, const PLACES: usize> Default for Credit<CREDITS, PLACES> {
    fn default() -> Self {
        const { assert!(PLACES == CREDITS + 2, "PLACES must be CREDITS + 2") };
        Self {
            aclk: Signal::default(),
            aresetn: Signal::default(),
            take: Signal::default(),
            available: Signal::default(),
            give: Signal::default(),
            used: std::array::from_fn(|_| DFF::default()),
            ready: DFF::default(),
            grow: Signal::default(),
            shrink: Signal::default(),
            after: std::array::from_fn(|_| Signal::default()),
        }
    }
}

impl<const CREDITS: usize, const PLACES: usize> Logic for Credit<CREDITS, PLACES> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, aclk, ready);
        self.available.next = self.ready.q.val();
        self.grow.next = self.take.val() & self.ready.q.val() & !(self.give.val() & self.used[1].q.val());
        self.shrink.next = self.give.val() & self.used[1].q.val() & !(self.take.val() & self.ready.q.val());
        for i in 0..PLACES {
            self.used[i].clock.next = self.aclk.val();
        }
        for i in 0..1 {
            self.after[i].next = true;
            self.used[i].d.next = true;
        }
        for i in 1..(CREDITS + 1) {
            self.after[i].next = self.used[i].q.val();
            if self.grow.val() {
                self.after[i].next = self.used[i - 1].q.val();
            }
            if self.shrink.val() {
                self.after[i].next = self.used[i + 1].q.val();
            }
            self.used[i].d.next = self.aresetn.val() & self.after[i].val();
            // The last round of the loop stands: a credit is available while the last place is free.
            self.ready.d.next = self.aresetn.val() & !self.after[i].val();
        }
        for i in (CREDITS + 1)..PLACES {
            self.after[i].next = false;
            self.used[i].d.next = false;
        }
    }
}
