//! What a register held in a run, by the waveform that Verilator wrote of it.

use std::io::Read;

use vcd::{ScopeItem, Value};

/// The values of a register (two's complement, at most 64 bits) in the order in which it took them: that of the instance `path` (each within
/// the one before, at any depth). Nothing comes back if the waveform cannot be read or has no such register.
pub fn values(vcd: impl Read, path: &[&str], register: &str) -> Option<Vec<i64>> {
    let mut parser = vcd::Parser::new(std::io::BufReader::new(vcd));
    let header = parser.parse_header().ok()?;
    let code = find(&header.items, path, register)?;
    let mut values = Vec::new();
    for command in parser {
        if let vcd::Command::ChangeVector(changed, bits) = command.ok()?
            && changed == code
            && bits.len() <= 64
        {
            let word = bits.iter().try_fold(0u64, |word, bit| match bit {
                Value::V0 => Some(word << 1),
                Value::V1 => Some(word << 1 | 1),
                _ => None,
            });
            values.extend(word.map(|w| generator::dataflow::sign_extend(w, bits.len() as u32)));
        }
    }
    Some(values)
}

fn find(items: &[ScopeItem], path: &[&str], register: &str) -> Option<vcd::IdCode> {
    items.iter().find_map(|item| match item {
        ScopeItem::Var(var) if path.is_empty() && var.reference == register => Some(var.code),
        ScopeItem::Scope(scope) => {
            let rest = if path.first() == Some(&scope.identifier.as_str()) { &path[1..] } else { path };
            // Past the last instance the register stands in it, not below it.
            (!path.is_empty()).then(|| find(&scope.items, rest, register))?
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::values;

    #[test]
    fn a_register_is_found_below_its_instances() {
        let text = "$scope module t $end\n$scope module a $end\n$scope module pe0 $end\n$var wire 3 ! r [2:0] $end\n$upscope $end\n$upscope $end\n\
                    $scope module b $end\n$scope module pe0 $end\n$var wire 3 # r [2:0] $end\n$upscope $end\n$upscope $end\n$upscope $end\n\
                    $enddefinitions $end\n#0\nb000 !\nb001 #\n#5\nb100 #\n#6\nb011 !\n";
        assert_eq!(values(text.as_bytes(), &["b", "pe0"], "r").unwrap(), [1, -4]);
        assert_eq!(values(text.as_bytes(), &["a", "pe0"], "r").unwrap(), [0, 3]);
        assert_eq!(values(text.as_bytes(), &["c", "pe0"], "r"), None);
        assert_eq!(values(text.as_bytes(), &["b"], "r"), None);
    }
}
