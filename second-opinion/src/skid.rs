//! A register slice of two places that take turns.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Register slice for beats of `WIDTH` bits on valid/ready streams.
///
/// Beats enter the places a, b, a, b, ... and leave them in the same order; `enter_b` and `leave_b` say whose turn it
/// is.
#[derive(LogicBlock, Default)]
pub struct Skid<const WIDTH: usize> {
    /// Clock; everything happens at its rising edge.
    pub aclk: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub aresetn: Signal<In, Bit>,
    /// Data of the beat offered at the entry.
    pub s_axis_tdata: Signal<In, Bits<WIDTH>>,
    /// A beat is offered at the entry.
    pub s_axis_tvalid: Signal<In, Bit>,
    /// The entry takes a beat.
    pub s_axis_tready: Signal<Out, Bit>,
    /// Data of the oldest beat.
    pub m_axis_tdata: Signal<Out, Bits<WIDTH>>,
    /// A beat is offered at the exit.
    pub m_axis_tvalid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub m_axis_tready: Signal<In, Bit>,
    data_a: DFF<Bits<WIDTH>>,
    data_b: DFF<Bits<WIDTH>>,
    full_a: DFF<Bit>,
    full_b: DFF<Bit>,
    enter_b: DFF<Bit>,
    leave_b: DFF<Bit>,
    ready: DFF<Bit>,
    push: Signal<Local, Bit>,
    pop: Signal<Local, Bit>,
}

impl<const WIDTH: usize> Logic for Skid<WIDTH> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, aclk, data_a, data_b, full_a, full_b, enter_b, leave_b, ready);
        self.s_axis_tready.next = self.ready.q.val();
        self.m_axis_tvalid.next = self.full_a.q.val() | self.full_b.q.val();
        self.m_axis_tdata.next = self.data_a.q.val();
        if self.leave_b.q.val() {
            self.m_axis_tdata.next = self.data_b.q.val();
        }
        self.push.next = self.s_axis_tvalid.val() & self.ready.q.val();
        self.pop.next = (self.full_a.q.val() | self.full_b.q.val()) & self.m_axis_tready.val();

        if self.pop.val() {
            self.leave_b.d.next = !self.leave_b.q.val();
            if self.leave_b.q.val() {
                self.full_b.d.next = false;
            } else {
                self.full_a.d.next = false;
            }
        }
        if self.push.val() {
            self.enter_b.d.next = !self.enter_b.q.val();
            if self.enter_b.q.val() {
                self.full_b.d.next = true;
                self.data_b.d.next = self.s_axis_tdata.val();
            } else {
                self.full_a.d.next = true;
                self.data_a.d.next = self.s_axis_tdata.val();
            }
        }

        // Both places are full after this edge if one more comes than goes while one is full, or if both stay full.
        self.ready.d.next = !((self.full_a.q.val() & self.full_b.q.val() & !self.pop.val())
            | ((self.full_a.q.val() | self.full_b.q.val()) & self.push.val() & !self.pop.val()));

        if !self.aresetn.val() {
            self.full_a.d.next = false;
            self.full_b.d.next = false;
            self.enter_b.d.next = false;
            self.leave_b.d.next = false;
            self.ready.d.next = false;
        }
    }
}
