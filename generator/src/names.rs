//! Verilog identifiers from layer names.

use std::collections::HashSet;

use hw_templates::{FIXED, XC7};

/// Words that Verilog-2005 and SystemVerilog readers reserve, of those that a layer may plausibly be called.
const KEYWORDS: &[&str] = &[
    "always",
    "and",
    "assign",
    "automatic",
    "begin",
    "bit",
    "buf",
    "byte",
    "case",
    "cell",
    "class",
    "config",
    "cross",
    "deassign",
    "default",
    "defparam",
    "design",
    "disable",
    "do",
    "edge",
    "else",
    "end",
    "endcase",
    "endfunction",
    "endmodule",
    "enum",
    "event",
    "final",
    "for",
    "force",
    "forever",
    "fork",
    "function",
    "generate",
    "genvar",
    "global",
    "if",
    "initial",
    "inout",
    "input",
    "inside",
    "instance",
    "int",
    "integer",
    "interface",
    "join",
    "large",
    "let",
    "library",
    "local",
    "localparam",
    "logic",
    "longint",
    "medium",
    "module",
    "nand",
    "negedge",
    "new",
    "nor",
    "not",
    "null",
    "or",
    "output",
    "package",
    "parameter",
    "posedge",
    "primitive",
    "priority",
    "program",
    "property",
    "protected",
    "pure",
    "rand",
    "real",
    "realtime",
    "ref",
    "reg",
    "release",
    "repeat",
    "restrict",
    "return",
    "scalared",
    "sequence",
    "shortint",
    "signed",
    "small",
    "soft",
    "specify",
    "static",
    "string",
    "strong",
    "struct",
    "super",
    "supply0",
    "supply1",
    "table",
    "tagged",
    "task",
    "this",
    "time",
    "tri",
    "type",
    "typedef",
    "union",
    "unique",
    "unsigned",
    "use",
    "var",
    "vectored",
    "virtual",
    "void",
    "wait",
    "weak",
    "while",
    "wire",
    "with",
    "within",
    "wor",
    "xnor",
    "xor",
];

/// Whether `name` can be printed as a Verilog identifier as it is.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 200
        && !KEYWORDS.contains(&name)
}

/// Makes identifiers of layer names, each unique even where case is ignored (files live on such systems too).
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Names that are given already.
    pub fn taken<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        Names { taken: names.map(|n| n.to_ascii_lowercase()).collect() }
    }

    /// An identifier that looks like `name`: other characters become one underscore; a digit, a keyword or the name of a module that all
    /// designs share gets `layer_` in front; an ending that modules derive names with gets `_layer` behind; a name already given gets a number.
    pub fn identifier(&mut self, name: &str) -> String {
        let mut base = sanitize(name);
        if !is_identifier(&base) || is_shared(&base) {
            base = format!("layer_{base}");
        }
        if derived(&base) {
            base.push_str("_layer");
        }
        let mut candidate = base.clone();
        let mut number = 2;
        while !self.taken.insert(candidate.to_ascii_lowercase()) {
            candidate = format!("{base}_{number}");
            number += 1;
        }
        candidate
    }
}

/// Whether a module that all designs share is called so, where case is ignored.
pub fn is_shared(name: &str) -> bool {
    FIXED.iter().chain(&XC7).any(|f| f.name.eq_ignore_ascii_case(name))
}

/// Whether another module's name may end so: its processing elements, its array, its lanes, its claims, what watches its streams.
fn derived(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let element = |(_, number): (&str, &str)| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    ["_array", "_lane", "_claims", "_watch", "_range", "_protocol"].iter().any(|end| name.ends_with(end))
        || name.rsplit_once("_pe").is_some_and(element)
}

/// Letters and digits of `name`, everything between them one underscore; at most 60 characters.
pub fn sanitize(name: &str) -> String {
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.join("_").chars().take(60).collect()
}

/// Text that is safe inside a one-line Verilog comment: control characters and line ends become spaces.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || !c.is_ascii() || c == '\\' { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        let mut names = Names::default();
        assert_eq!(names.identifier("features.3"), "features_3");
        assert_eq!(names.identifier("features/3"), "features_3_2");
        assert_eq!(names.identifier("FEATURES 3"), "FEATURES_3_3");
        assert_eq!(names.identifier("module"), "layer_module");
        assert_eq!(names.identifier("../../etc/\"x\""), "etc_x");
        assert_eq!(names.identifier("20"), "layer_20");
        assert_eq!(names.identifier("snug_fifo"), "layer_snug_fifo");
        assert_eq!(names.identifier("q_pe0"), "q_pe0_layer");
        assert_eq!(names.identifier("q_PE"), "q_PE");
        assert_eq!(names.identifier("q_array"), "q_array_layer");
        assert_eq!(names.identifier(""), "layer_");
        assert_eq!(comment("a\nb`endif\\"), "a b`endif ");
    }
}
