//! The figures that the heads of the modules give, measured on the model that the modules are compared with.

use crate::handshake::{StreamCase, cases, stream_vectors};

fn case(name: &str) -> StreamCase {
    cases().streams.into_iter().find(|case| case.name == name).unwrap()
}

/// Beats that leave in the case at full speed: 120 cycles, of which the first shows ready low, and the last beat
/// taken does not leave any more.
#[test]
fn throughput() {
    let leaving = |depth| stream_vectors(&case("full speed"), 8, depth).iter().filter(|cycle| cycle.pops()).count();
    assert_eq!(leaving(1), 59);
    for depth in 2..20 {
        assert_eq!(leaving(depth), 118);
    }
}

#[test]
fn latency() {
    for depth in 1..20 {
        let vectors = stream_vectors(&case("full speed"), 8, depth);
        let enters = vectors.iter().position(|cycle| cycle.pushes()).unwrap();
        let leaves = vectors.iter().position(|cycle| cycle.pops()).unwrap();
        assert_eq!((enters, leaves), (3, 4));
    }
}

#[test]
fn every_depth_is_filled_and_every_reset_drops_beats() {
    for depth in [1, 2, 5, 17] {
        let full = stream_vectors(&case("fill, then drain"), 8, depth);
        let before_drain = full.iter().take_while(|cycle| !cycle.m_ready || !cycle.aresetn);
        assert_eq!(before_drain.filter(|cycle| cycle.pushes()).count(), depth);
        let reset = stream_vectors(&case("reset while full"), 8, depth);
        let (entered, left) = (reset.iter().filter(|c| c.pushes()).count(), reset.iter().filter(|c| c.pops()).count());
        assert!(entered - left > depth, "beats lost to resets are more than a queue can hold at the end");
    }
}
