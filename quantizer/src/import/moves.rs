//! Moves: operators that carry values to other places and channels, or choose the largest of some, and compute nothing.
//!
//! A move stays pending between the integers that a signal begins with and the functions behind them, so that a
//! Threshold stands directly behind its accumulator: functions commute with moves. Parameters that arrive behind a
//! move are written for the channels before it. The one condition is MaxPool's: only functions that rise commute
//! with a maximum.

use super::build::Builder;
use super::chain::{Link, Param};
use super::codes;
use super::error::Refusal;
use super::function::Function;
use super::graph::{Attributes, node_name};
use super::pad;
use super::signal::{Origin, Signal};
use crate::network::{DepthToSpace, Op, TensorId, Window};
use crate::onnx::proto::NodeProto;
use crate::shape::output_shape;

/// What happens to places and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The largest value of each window.
    MaxPool(Window),
    /// Every place repeated, vertically and horizontally.
    Upsample([usize; 2]),
    /// Channels become places.
    DepthToSpace(DepthToSpace),
}

/// A move that a signal waits for.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What happens.
    pub what: Move,
    /// The ONNX node.
    pub node: String,
    /// The ONNX tensor that it writes.
    pub output: String,
    /// How many of the signal's functions the graph has before it.
    pub after: usize,
}

impl Move {
    /// As a layer.
    pub fn op(self) -> Op {
        match self {
            Move::MaxPool(window) => Op::MaxPool(window),
            Move::Upsample(factor) => Op::Upsample(factor),
            Move::DepthToSpace(d) => Op::DepthToSpace(d),
        }
    }

    /// The channel of the result that channel `c` of `channels` goes to.
    fn channel(self, c: usize, channels: usize) -> usize {
        match self {
            Move::MaxPool(_) | Move::Upsample(_) => c,
            Move::DepthToSpace(d) if d.column_first => c / (d.block * d.block),
            Move::DepthToSpace(d) => c % (channels / (d.block * d.block)),
        }
    }
}

/// For each channel before the moves the channel behind them, and how many there are behind them.
fn channel_map(moves: &[Pending], channels: usize) -> (Vec<usize>, usize) {
    let mut map: Vec<usize> = (0..channels).collect();
    let mut count = channels;
    for pending in moves {
        map.iter_mut().for_each(|c| *c = pending.what.channel(*c, count));
        count = map.iter().max().map_or(0, |&c| c + 1);
    }
    (map, count)
}

/// A parameter written for the channels behind the moves, written for those before them; `None` if it is finer than
/// channels.
fn before(p: &Param, moves: &[Pending], channels: usize) -> Option<Param> {
    let (map, count) = channel_map(moves, channels);
    if p.blocks() == 1 {
        return Some(p.clone());
    }
    count.is_multiple_of(p.blocks()).then(|| Param::new(map.iter().map(|&c| p.at(c, count).clone()).collect()))
}

/// A parameter written for the channels before the moves, written for those behind them; `None` if it is finer than
/// channels, or differs between channels that become one.
pub fn behind(p: &Param, moves: &[Pending], channels: usize) -> Option<Param> {
    if p.blocks() == 1 || moves.is_empty() {
        return Some(p.clone());
    }
    if !channels.is_multiple_of(p.blocks()) {
        return None;
    }
    let (map, count) = channel_map(moves, channels);
    let mut values = vec![None; count];
    for (c, &to) in map.iter().enumerate() {
        let own = p.at(c, channels);
        if values[to].get_or_insert(own) != &own {
            return None;
        }
    }
    values.into_iter().map(Option::<&_>::cloned).collect::<Option<_>>().map(Param::new)
}

/// Why functions cannot be taken in front of pending moves.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stuck {
    /// A parameter differs inside a channel.
    Fine,
    /// A function falls behind this MaxPool.
    Falls(String),
}

/// Functions written for the result of the moves, written for what they move.
fn through(links: &[Link], moves: &[Pending], channels: usize) -> Result<Vec<Link>, Stuck> {
    let pool = moves.iter().find(|m| matches!(m.what, Move::MaxPool(_)));
    let mut moved = Vec::with_capacity(links.len());
    for link in links {
        if let Some(pool) = pool
            && falls(&link.function)
        {
            return Err(Stuck::Falls(pool.node.clone()));
        }
        let mut fine = false;
        let function = link.function.map(|p| {
            before(p, moves, channels).unwrap_or_else(|| {
                fine = true;
                p.clone()
            })
        });
        if fine {
            return Err(Stuck::Fine);
        }
        moved.push(Link { function, ..link.clone() });
    }
    Ok(moved)
}

/// Whether the function falls in some channel.
fn falls(function: &Function<Param>) -> bool {
    let mut blocks = 1;
    function.map(|p| blocks = num_integer::lcm(blocks, p.blocks()));
    (0..blocks).any(|b| function.map(|p| p.at(b, blocks).clone()).direction() < 0)
}

/// Whether what `links` make of integers falls in some channel.
pub fn falls_together(links: &[Link]) -> bool {
    let blocks = super::chain::blocks(links);
    let direction = |b| super::chain::functions(links, b, blocks).iter().map(Function::direction).product::<i32>();
    (0..blocks).any(|b| direction(b) < 0)
}

/// The signal behind elementwise functions that `function` adds to it. Where they cannot be taken in front of the
/// signal's pending moves, the moves are carried out on codes first.
///
/// # Errors
/// Those of `function`; or if the moves cannot be carried out, because no quantizer stands in front of them.
pub fn elementwise(
    builder: &mut Builder,
    signal: &Signal,
    node: &str,
    function: impl Fn(&Signal) -> Result<Signal, Refusal>,
) -> Result<Signal, Refusal> {
    let mut result = function(signal)?;
    if let Some(padding) = &signal.padding
        && let Some(link) = result.links[signal.links.len()..].iter().find(|l| !pad::keeps_zero(&l.function))
    {
        let settled = pad::settle(builder, signal).map_err(|refusal| {
            let reason = format!(
                "the function of '{}' does not keep the zeros of Pad '{}' in front of it; {}",
                link.node, padding.node, refusal.reason
            );
            Refusal::new(reason, "put the Pad behind the next Quant node")
        })?;
        return elementwise(builder, &settled, node, function);
    }
    let Some(channels) = signal.tensor().map(|id| builder.channels(id)).filter(|_| !signal.moves.is_empty()) else {
        return Ok(result);
    };
    let old = signal.links.len();
    match through(&result.links[old..], &signal.moves, channels) {
        Ok(links) => {
            result.links.truncate(old);
            result.links.extend(links);
            Ok(result)
        }
        Err(stuck) => {
            let settled = codes::settle(builder, signal, node).map_err(|refusal| {
                let reason = match &stuck {
                    Stuck::Fine => "its parameters differ inside the channels of an image that is not quantized".into(),
                    Stuck::Falls(pool) => format!("it falls as its input rises, behind MaxPool '{pool}'"),
                };
                let hint = match &stuck {
                    Stuck::Fine => "use one number per channel, or put a Quant node in front",
                    Stuck::Falls(_) => "put a Quant node in front of the pooling",
                };
                Refusal::new(format!("{reason}; in front of that, {}", refusal.reason), hint)
            })?;
            function(&settled)
        }
    }
}

/// The signal behind a move.
///
/// # Errors
/// If the signal is no image, not an image of the graph's shape, or not quantized at all.
pub fn append(builder: &mut Builder, signal: &Signal, node: &NodeProto, what: Move) -> Result<Signal, Refusal> {
    let Some(tensor) = signal.tensor() else { return Err(codes::raw()) };
    signal.unpadded()?;
    let shape = signal.image()?;
    let (tensor, moves) = (builder.seen_as(tensor, &signal.moves, &shape)?, signal.moves.clone());
    let result =
        output_shape(&what.op(), &[&shape]).map_err(|reason| Refusal::new(reason, "check the graph's shapes"))?;
    let mut signal = Signal { moves, ..signal.clone() };
    signal.origin = match signal.origin {
        Origin::Accumulator(_) => Origin::Accumulator(tensor),
        _ => Origin::Codes(tensor),
    };
    signal.moves.push(Pending {
        what,
        node: node_name(node),
        output: node.output[0].clone(),
        after: signal.links.len(),
    });
    signal.shape = [&[1], &result[..]].concat();
    Ok(signal)
}

/// `DepthToSpace`.
///
/// # Errors
/// If the block does not divide the channels, or the mode is unknown.
pub fn depth_to_space(builder: &mut Builder, signal: &Signal, node: &NodeProto) -> Result<Signal, Refusal> {
    let attributes = Attributes::of(node);
    let channels = signal.image()?[0];
    let block = attributes.int("blocksize").and_then(|b| usize::try_from(b).ok()).filter(|&b| b > 0);
    let block = block.filter(|&b| b.checked_mul(b).is_some_and(|n| channels.is_multiple_of(n))).ok_or_else(|| {
        Refusal::new(
            format!(
                "its blocksize is {}, whose square does not divide {channels} channels",
                attributes.int("blocksize").unwrap_or(0)
            ),
            "check the graph's shapes",
        )
    })?;
    let column_first = match attributes.text("mode").as_deref() {
        None | Some("DCR") => false,
        Some("CRD") => true,
        Some(other) => return Err(Refusal::new(format!("its mode '{other}' is unknown"), "use DCR or CRD")),
    };
    append(builder, signal, node, Move::DepthToSpace(DepthToSpace { block, column_first }))
}

impl Builder {
    /// How many channels a tensor has.
    pub fn channels(&self, id: TensorId) -> usize {
        self.tensors[id.0].shape.first().copied().unwrap_or(1)
    }
}
