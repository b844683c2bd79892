//! Handshake cases as data (`testcases/handshake.json`), the model they are checked against, and the vectors, one per
//! clock cycle, that every runner plays: our Verilog in Icarus here, rust-hdl's simulator in `second-opinion`.
//!
//! The model is the text in the heads of the modules and nothing more: a queue, and ready and valid that follow from
//! the number of beats in it after each edge.

use std::collections::VecDeque;

use serde::Deserialize;

/// The cases of `testcases/handshake.json`.
#[derive(Deserialize)]
pub struct Cases {
    pub streams: Vec<StreamCase>,
    pub credits: Vec<CreditCase>,
}

/// One case for a stream from an entry to an exit.
#[derive(Deserialize)]
pub struct StreamCase {
    pub name: String,
    /// In which cycles the source offers a beat, if it does not offer one already.
    pub offer: Pattern,
    /// In which cycles the sink is ready.
    pub accept: Pattern,
    pub cycles: usize,
    /// Cycles, counted from the start of the case, at whose edge aresetn is low.
    #[serde(default)]
    pub resets: Vec<usize>,
}

/// One case for a credit counter.
#[derive(Deserialize)]
pub struct CreditCase {
    pub name: String,
    pub take: Pattern,
    pub give: Pattern,
    pub cycles: usize,
    #[serde(default)]
    pub resets: Vec<usize>,
}

/// A bit for each cycle.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Pattern {
    /// `0` and `1`, from the left, again and again.
    Cycle(String),
    /// One with this probability.
    Random { percent: u64, seed: u64 },
}

impl Pattern {
    fn bits(&self, cycles: usize) -> Vec<bool> {
        match self {
            Pattern::Cycle(text) => text.bytes().map(|byte| byte == b'1').cycle().take(cycles).collect(),
            Pattern::Random { percent, seed } => {
                let mut random = Random(*seed);
                (0..cycles).map(|_| random.next() % 100 < *percent).collect()
            }
        }
    }
}

/// SplitMix64: the same numbers on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Reads the cases.
pub fn cases() -> Cases {
    serde_json::from_str(include_str!("../../testcases/handshake.json")).expect("the file is part of the source")
}

/// One clock cycle of a stream: inputs, and the outputs expected just before the edge that ends it.
#[derive(Clone, Copy)]
pub struct StreamCycle {
    pub aresetn: bool,
    pub s_valid: bool,
    /// Random where `s_valid` is low, so that a beat taken by mistake is seen.
    pub s_data: u64,
    pub m_ready: bool,
    /// False before the first edge with aresetn low, when outputs may be anything.
    pub check: bool,
    pub s_ready: bool,
    pub m_valid: bool,
    /// Means nothing while `m_valid` is low.
    pub m_data: u64,
}

impl StreamCycle {
    pub fn pushes(&self) -> bool {
        self.aresetn && self.s_valid && self.s_ready
    }

    pub fn pops(&self) -> bool {
        self.aresetn && self.m_valid && self.m_ready
    }
}

/// The vectors of one case for beats of `width` bits (at most 64) through a queue of `depth` beats. They begin with
/// two cycles of reset.
pub fn stream_vectors(case: &StreamCase, width: usize, depth: usize) -> Vec<StreamCycle> {
    let mask = u64::MAX >> (64 - width);
    let mut random = Random(depth as u64);
    let mut queue: VecDeque<u64> = VecDeque::new();
    let mut ready = false;
    let mut offered: Option<u64> = None;
    let mut vectors = Vec::new();
    let offers = case.offer.bits(case.cycles);
    let accepts = case.accept.bits(case.cycles);
    for step in 0..case.cycles + 2 {
        let aresetn = step >= 2 && !case.resets.contains(&(step - 2));
        let (offer, accept) = if step < 2 { (true, true) } else { (offers[step - 2], accepts[step - 2]) };
        if offered.is_none() && offer {
            offered = Some(random.next() & mask);
        }
        let cycle = StreamCycle {
            aresetn,
            s_valid: offered.is_some(),
            s_data: offered.unwrap_or_else(|| random.next() & mask),
            m_ready: accept,
            check: step > 0,
            s_ready: ready,
            m_valid: !queue.is_empty(),
            m_data: queue.front().copied().unwrap_or(0),
        };
        vectors.push(cycle);

        if cycle.pops() {
            queue.pop_front();
        }
        if cycle.pushes() {
            queue.push_back(cycle.s_data);
            offered = None;
        }
        ready = queue.len() < depth;
        if !aresetn {
            queue.clear();
            ready = false;
            // The source starts afresh too: a beat offered in reset is withdrawn.
            offered = None;
        }
    }
    vectors
}

/// One clock cycle of a credit counter.
#[derive(Clone, Copy)]
pub struct CreditCycle {
    pub aresetn: bool,
    pub take: bool,
    pub give: bool,
    /// False before the first edge with aresetn low, when outputs may be anything.
    pub check: bool,
    pub available: bool,
}

/// The vectors of one case for a counter of `credits`. They begin with two cycles of reset.
pub fn credit_vectors(case: &CreditCase, credits: usize) -> Vec<CreditCycle> {
    let (takes, gives) = (case.take.bits(case.cycles), case.give.bits(case.cycles));
    let mut left = credits;
    let mut available = false;
    let mut vectors = Vec::new();
    for step in 0..case.cycles + 2 {
        let aresetn = step >= 2 && !case.resets.contains(&(step - 2));
        let (take, give) = if step < 2 { (true, true) } else { (takes[step - 2], gives[step - 2]) };
        vectors.push(CreditCycle { aresetn, take, give, check: step > 0, available });
        let given = give && left < credits;
        left = left - usize::from(take && available) + usize::from(given);
        available = left > 0;
        if !aresetn {
            left = credits;
            available = false;
        }
    }
    vectors
}
