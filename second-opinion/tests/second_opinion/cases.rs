//! rust-hdl's own simulator runs the handshake cases that our Verilog passes in Icarus.

use rust_hdl_core::prelude::*;
use second_opinion::credit::Credit;
use second_opinion::fifo::Fifo;
use second_opinion::skid::Skid;

use crate::handshake::{StreamCycle, cases, credit_vectors, stream_vectors};

/// More rounds than any of these blocks needs until its signals settle.
const ROUNDS: usize = 50;

/// A block with our stream ports, for the simulator.
trait Stream: Block {
    /// Applies the inputs of one cycle, all but the clock.
    fn apply(&mut self, cycle: &StreamCycle);
    /// s_axis_tready, m_axis_tvalid, m_axis_tdata.
    fn outputs(&self) -> (bool, bool, u64);
    fn clock(&mut self, high: bool);
}

macro_rules! stream {
    ($block:ty, $width:ident $(, $constant:ident)*) => {
        impl<const $width: usize $(, const $constant: usize)*> Stream for $block {
            fn apply(&mut self, cycle: &StreamCycle) {
                self.aresetn.next = cycle.aresetn;
                self.s_axis_tdata.next = cycle.s_data.into();
                self.s_axis_tvalid.next = cycle.s_valid;
                self.m_axis_tready.next = cycle.m_ready;
            }

            fn outputs(&self) -> (bool, bool, u64) {
                (self.s_axis_tready.val(), self.m_axis_tvalid.val(), self.m_axis_tdata.val().to_u64())
            }

            fn clock(&mut self, high: bool) {
                self.aclk.next = high.into();
            }
        }
    };
}

stream!(Fifo<WIDTH, DEPTH, PLACES>, WIDTH, DEPTH, PLACES);
stream!(Skid<WIDTH>, WIDTH);

/// Plays every case to `block` and compares every output in every cycle with the model.
fn play<B: Stream>(mut block: B, width: usize, depth: usize) {
    block.connect_all();
    check_all(&block).expect("every signal is driven");
    let mut pops = 0;
    for case in cases().streams {
        for (step, cycle) in stream_vectors(&case, width, depth).iter().enumerate() {
            block.apply(cycle);
            assert!(simulate(&mut block, ROUNDS));
            let (ready, valid, data) = block.outputs();
            if cycle.check {
                let place = format!("{width} x {depth}, case '{}', cycle {step}", case.name);
                assert_eq!((ready, valid), (cycle.s_ready, cycle.m_valid), "{place}");
                assert!(!valid || data == cycle.m_data, "{place}: {data:x} instead of {:x}", cycle.m_data);
            }
            pops += usize::from(cycle.pops());
            for high in [true, false] {
                block.clock(high);
                assert!(simulate(&mut block, ROUNDS));
            }
        }
    }
    assert!(pops > 1000, "the cases move beats");
}

#[test]
fn fifo() {
    play(Fifo::<8, 4, 5>::default(), 8, 4);
    play(Fifo::<5, 3, 4>::default(), 5, 3);
    play(Fifo::<2, 2, 3>::default(), 2, 2);
    play(Fifo::<1, 1, 2>::default(), 1, 1);
}

#[test]
fn skid() {
    play(Skid::<8>::default(), 8, 2);
    play(Skid::<1>::default(), 1, 2);
}

fn play_credits<const CREDITS: usize, const PLACES: usize>() {
    let mut block = Credit::<CREDITS, PLACES>::default();
    block.connect_all();
    check_all(&block).expect("every signal is driven");
    for case in cases().credits {
        for (step, cycle) in credit_vectors(&case, CREDITS).iter().enumerate() {
            block.aresetn.next = cycle.aresetn;
            block.take.next = cycle.take;
            block.give.next = cycle.give;
            assert!(simulate(&mut block, ROUNDS));
            if cycle.check {
                assert_eq!(block.available.val(), cycle.available, "{CREDITS}, case '{}', cycle {step}", case.name);
            }
            for high in [true, false] {
                block.aclk.next = high.into();
                assert!(simulate(&mut block, ROUNDS));
            }
        }
    }
}

#[test]
fn credit() {
    play_credits::<1, 3>();
    play_credits::<4, 6>();
    play_credits::<7, 9>();
}
