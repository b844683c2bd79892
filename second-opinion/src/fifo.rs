//! A queue whose beats fall to the exit.

use rust_hdl_core::prelude::*;
use rust_hdl_widgets::prelude::*;

/// Queue of `DEPTH` beats of `WIDTH` bits on valid/ready streams; `PLACES` must be `DEPTH + 1` (rust-hdl has no
/// arithmetic on constant parameters).
///
/// The oldest beat always lies at place 0, the next at place 1 and so on: a beat that leaves moves all others down by
/// one, a beat that enters takes the lowest free place. The place above the last one is never filled; it is what the
/// last place sees above itself.
#[derive(LogicBlock)]
pub struct Fifo<const WIDTH: usize, const DEPTH: usize, const PLACES: usize> {
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
    data: [DFF<Bits<WIDTH>>; PLACES],
    filled: [DFF<Bit>; PLACES],
    ready: DFF<Bit>,
    push: Signal<Local, Bit>,
    pop: Signal<Local, Bit>,
    /// Place i still holds a beat after the others moved down.
    kept: [Signal<Local, Bit>; PLACES],
    /// All places below i do.
    below: [Signal<Local, Bit>; PLACES],
    /// The entering beat takes place i.
    lands: [Signal<Local, Bit>; PLACES],
}

impl<const WIDTH: usize, const DEPTH: usize, const PLACES: usize> Default for Fifo<WIDTH, DEPTH, PLACES> {
    fn default() -> Self {
        const { assert!(PLACES == DEPTH + 1, "PLACES must be DEPTH + 1") };
        Self {
            aclk: Signal::default(),
            aresetn: Signal::default(),
            s_axis_tdata: Signal::default(),
            s_axis_tvalid: Signal::default(),
            s_axis_tready: Signal::default(),
            m_axis_tdata: Signal::default(),
            m_axis_tvalid: Signal::default(),
            m_axis_tready: Signal::default(),
            data: std::array::from_fn(|_| DFF::default()),
            filled: std::array::from_fn(|_| DFF::default()),
            ready: DFF::default(),
            push: Signal::default(),
            pop: Signal::default(),
            kept: std::array::from_fn(|_| Signal::default()),
            below: std::array::from_fn(|_| Signal::default()),
            lands: std::array::from_fn(|_| Signal::default()),
        }
    }
}

impl<const WIDTH: usize, const DEPTH: usize, const PLACES: usize> Logic for Fifo<WIDTH, DEPTH, PLACES> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, aclk, ready);
        self.s_axis_tready.next = self.ready.q.val();
        self.m_axis_tvalid.next = self.filled[0].q.val();
        self.m_axis_tdata.next = self.data[0].q.val();
        self.push.next = self.s_axis_tvalid.val() & self.ready.q.val();
        self.pop.next = self.filled[0].q.val() & self.m_axis_tready.val();

        self.below[0].next = true;
        for i in 0..DEPTH {
            self.data[i].clock.next = self.aclk.val();
            self.filled[i].clock.next = self.aclk.val();
            self.data[i].d.next = self.data[i].q.val();
            if self.pop.val() {
                self.kept[i].next = self.filled[i + 1].q.val();
                self.data[i].d.next = self.data[i + 1].q.val();
            } else {
                self.kept[i].next = self.filled[i].q.val();
            }
            self.lands[i].next = self.push.val() & self.below[i].val() & !self.kept[i].val();
            if self.lands[i].val() {
                self.data[i].d.next = self.s_axis_tdata.val();
            }
            self.filled[i].d.next = self.aresetn.val() & (self.kept[i].val() | self.lands[i].val());
            self.below[i + 1].next = self.kept[i].val();
            // The last round of the loop stands: ready means that the last place will be free.
            self.ready.d.next = self.aresetn.val() & !(self.kept[i].val() | self.lands[i].val());
        }
        for i in DEPTH..PLACES {
            self.data[i].clock.next = self.aclk.val();
            self.filled[i].clock.next = self.aclk.val();
            self.data[i].d.next = self.data[i].q.val();
            self.filled[i].d.next = false;
            self.kept[i].next = false;
            self.lands[i].next = false;
        }
    }
}
