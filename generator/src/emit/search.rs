//! Binary search stages, shared by processing elements and the input map.

use hw_templates::Stage;

use super::expression::{counter_bits, resize, word};
use crate::dataflow::{Encoding, Search, SearchWords};
use quantizer::datatype::Signedness;

/// Two's complement bits of all words less one.
pub fn less_one_bits(channels: &[SearchWords], word_bits: u32) -> u32 {
    let least = -(1i64 << (word_bits - 1));
    word_bits + u32::from(channels.iter().flat_map(|c| &c.words).any(|&w| w <= least))
}

/// `left - right` of two signed names of `bits` bits, one bit wider: its sign is 1 if `right` is greater. It leaves a carry chain as a sum bit, on the way to a register with
/// no LUT between.
pub fn difference(left: &str, right: &str, bits: u32) -> String {
    let sign = bits - 1;
    format!("{{{left}[{sign}], {left}}} - {{{right}[{sign}], {right}}}")
}

/// The stages of `search` over `channels`, addressed by `channel(stage)` (the name of the signal that holds the
/// channel at that stage, with its bits) where there are several. With `ahead` a word, less one, is read into a register a cycle
/// before the value is taken from it.
pub fn stages(
    search: Search,
    channels: &[SearchWords],
    word_bits: u32,
    value_bits: u32,
    ahead: bool,
    channel: impl Fn(usize) -> (String, usize),
) -> Vec<Stage> {
    let stored_bits = if ahead { less_one_bits(channels, word_bits) } else { word_bits };
    (0..search.bits as usize)
        .map(|k| {
            let trial_bit = search.bits as usize - 1 - k;
            let (channel_name, channel_bits) = channel(k);
            let several = channels.len() > 1;
            // Address {channel, count so far}: the words that this stage may compare with.
            let mut words = Vec::new();
            let channel_span = if several { 1usize << channel_bits } else { 1 };
            for channel in channels.iter().take(channel_span) {
                for count in 0..1usize << k {
                    let reached = (count << 1 | 1) << trial_bit;
                    words.push(word(channel.words[reached - 1] - i64::from(ahead), stored_bits));
                }
            }
            let constant = words[0].clone();
            if words.len() == 1 {
                words.clear();
            }
            let count = format!("count{k}");
            let address = match (several, k) {
                (true, 0) => channel_name,
                (true, _) => format!("{{{channel_name}, {count}}}"),
                (false, _) => count.clone(),
            };
            // Names of what is compared: the registers behind the read, or what is read.
            let read = if ahead { "_read" } else { "" };
            let memory = if words.is_empty() { "" } else { read };
            let hit =
                if ahead { format!("gap{k}[{stored_bits}]") } else { format!("(compared{k} >= word{k}{memory})") };
            let before = k.checked_sub(1).map_or_else(String::new, |b| format!("value{b}{read}"));
            Stage {
                index: k,
                ahead,
                before,
                trial: 1 << trial_bit,
                words,
                constant,
                address,
                address_bits: if several { channel_bits + k } else { k },
                word_bits: stored_bits as usize,
                compared: resize(&format!("value{k}{read}"), value_bits, true, stored_bits),
                gap: if ahead {
                    difference(&format!("word{k}{memory}"), &format!("compared{k}"), stored_bits)
                } else {
                    String::new()
                },
                next: if k == 0 { hit } else { format!("{{{count}{read}, {hit}}}") },
            }
        })
        .collect()
}

/// The code for a finished count named `count`, whose bits are complemented where `falling` (an expression) is 1.
pub fn code(search: Search, encoding: Encoding, falling: Option<&str>) -> String {
    let bits = search.bits;
    let count = format!("count{bits}");
    let count = match falling {
        Some("1'b1") => format!("~{count}"),
        Some(flag) => format!("({count} ^ {{{bits}{{{flag}}}}})"),
        None => count,
    };
    if encoding.sign == Signedness::Bipolar || (search.base == 0 && encoding.bits == bits) {
        return count;
    }
    let extended = if encoding.bits > bits { format!("{{{}'d0, {count}}}", encoding.bits - bits) } else { count };
    if search.base == 0 {
        return extended;
    }
    format!("{extended} + {}'h{}", encoding.bits, word(search.base, encoding.bits).bits)
}

/// Bits that address `channels` channels.
pub fn channel_bits(channels: usize) -> usize {
    counter_bits(channels.saturating_sub(1))
}
