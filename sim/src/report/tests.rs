#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use generator::lower::{LowerOptions, lower};
use quantizer::inspect::inspect;
use quantizer::testing::{Limits, inputs, network};
use roxmltree::{Document, ParsingOptions};

use super::*;
use crate::cycle;

const HOSTILE: &str = "\"><script>alert('x')</script><!-- \u{1}\u{b} ]]> </style></pre>&amp; <svg onload=x>";

/// A report with every part filled, whose free texts all are `text` where one is given.
fn full(text: Option<&str>) -> Report {
    let say = |benign: &str| text.unwrap_or(benign).to_owned();
    let mut network = network(3, Limits { layers: 3, width: 20, bits: 4 });
    if let Some(text) = text {
        network.name = text.into();
        network.source.file = text.into();
        network.notes.push(text.into());
        network.output_name = text.into();
        network.layers.iter_mut().enumerate().for_each(|(i, l)| l.name = format!("{text}{i}"));
        network.tensors.iter_mut().for_each(|t| t.name = format!("{}{text}", t.name));
    }
    let dataflow = lower(&network, &LowerOptions { top: Some("top".into()), ..LowerOptions::default() }).unwrap();
    let run = cycle::run(&dataflow, inputs(&network, 1, 5).view(), &cycle::Options::default()).unwrap();
    let mut hardware = Hardware::of(&dataflow, 100.0).measured(&dataflow, &run);
    for (i, module) in hardware.modules.iter_mut().enumerate() {
        let part = |name: &str, count| Part { name: say(name), count };
        module.lut_estimate = vec![part("multipliers", 40 + i as u64)];
        if text.is_none() {
            module.lut_estimate.extend([part("thresholds", 12), part("control", 9)]);
        }
        module.lut = Some(55 + 2 * i as u64);
    }
    let top = Top {
        name: dataflow.top.clone(),
        pins: vec![
            Pin { name: "aclk".into(), direction: "in", bits: 1, meaning: say("clock, rising edge") },
            Pin {
                name: "s_axis_tdata".into(),
                direction: "in",
                bits: 8,
                meaning: say("one element, padded to a byte"),
            },
        ],
        input: say("one element a beat, 16 beats a frame"),
        output: say("one logit a beat"),
    };
    let check = |what: &str, seeds: &[u64], samples, mismatches| Check {
        what: say(what),
        how: say("no gaps, input gaps, output stalls, both"),
        seeds: seeds.to_vec(),
        samples,
        mismatches,
    };
    Report {
        commands: vec![say("snug generate digits.onnx -o digits"), say("snug synth digits")],
        tools: vec![say("snug 0.1.0"), say("Yosys 0.23")],
        synthesis: Some(Synthesis {
            tool: say("Yosys 0.23"),
            command: say("synth_xilinx -family xc7 -flatten -nodsp"),
            target: say("xc7"),
            counts: vec![Part { name: say("LUT"), count: 1234 }, Part { name: say("FF"), count: 0 }],
        }),
        accuracy: Some(Accuracy { data: say("held-out digits"), samples: 360, correct: 351 }),
        checks: vec![
            check("cycle engine = golden model", &[], 360, 0),
            check("Verilog in Verilator = cycle engine, beat by beat", &[1, 2], 360, 3),
            check("logits = Brevitas", &[], 0, 0),
        ],
        proof: Some(Proof {
            tool: say("Yosys 0.23"),
            claim: say("No accumulator can overflow."),
            modules: vec![Verdict { module: say("top_fc1"), verdict: say("proved"), seconds: 1.26 }],
        }),
        certificate: Some(Certificate {
            file: say("certificate.json"),
            sha256: say("ab12"),
            network_sha256: say("cd34"),
        }),
        verilog: Some(Excerpt {
            file: say("rtl/top_fc1_pe0.v"),
            first_line: 40,
            text: say("    reg  signed [3:0] product0;   // [-8, 7]\n    always @(posedge aclk) product0 <= x0 * w0;"),
        }),
        ..Report::new(inspect(&network).unwrap(), top, hardware)
    }
}

fn page_of(report: &Report) -> String {
    render(report, &charts(report).unwrap()).unwrap()
}

/// The page as an XML document: it is written so that it is one.
fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|e| panic!("{e}\n{page}"))
}

fn text(document: &Document<'_>) -> String {
    document.descendants().filter_map(|n| n.text().filter(|_| n.is_text())).collect()
}

#[test]
fn everything_given_is_on_a_well_formed_page() {
    let report = full(None);
    let page = page_of(&report);
    let document = parse(&page);
    let text = text(&document);
    for expected in [
        "351 of 360 right",
        "97.50 %",
        "DIFFERENT",
        "equal",
        "not run",
        "No accumulator can overflow.",
        "1.3",
        "certificate.json",
        "synth_xilinx -family xc7 -flatten -nodsp",
        "[-8, 7]",
        "multipliers",
        "+",
        "snug synth digits",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    for layer in report.network.layers.iter().map(|l| &l.name).chain(report.hardware.modules.iter().map(|m| &m.name)) {
        assert!(text.contains(layer.as_str()), "{layer}");
    }
    assert_eq!(document.descendants().filter(|n| n.has_tag_name("figure")).count(), 5);
    assert_eq!(page, page_of(&full(None)), "the same report gives the same bytes");
    // A browser shows what no parser can: SNUG_REPORT=FILE keeps the page.
    if let Some(file) = std::env::var_os("SNUG_REPORT") {
        fs::write(file, &page).unwrap();
    }
}

#[test]
fn what_is_absent_is_left_out() {
    let full = full(None);
    let mut hardware = full.hardware;
    hardware.latency = None;
    hardware.modules.iter_mut().for_each(|m| (m.occupied, m.lut, m.lut_estimate) = (None, None, Vec::new()));
    let report = Report::new(full.network, Top::default(), hardware);
    let page = page_of(&report);
    let document = parse(&page);
    let text = text(&document);
    for absent in ["LUT", "Verilog\n", "certificate", "of 0 right"] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
    assert!(text.contains("Not run") && text.contains("Nothing was simulated") && text.contains("not synthesized"));
    assert_eq!(
        charts(&report).unwrap().iter().map(|c| c.name).collect::<Vec<_>>(),
        ["widths.svg", "schedule.svg", "queues.svg"]
    );
}

#[test]
fn nothing_is_fetched() {
    let page = page_of(&full(None));
    // The namespace of SVG is a name and no address.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for address in ["http:", "https:", "url(", "src=", "href=", "@import", "<script", "<link"] {
        assert!(!page.contains(address), "{address}");
    }
}

#[test]
fn hostile_texts_stay_texts() {
    let report = full(Some(HOSTILE));
    let page = page_of(&report);
    let document = parse(&page);
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert_ne!(node.tag_name().name(), "script");
        assert!(node.attributes().all(|a| !a.name().starts_with("on")), "{node:?}");
    }
    let count = |page: &str| parse(page).descendants().filter(roxmltree::Node::is_element).count();
    // No element more than with harmless texts of the same number.
    assert_eq!(count(&page), count(&page_of(&full(Some("x")))));
    let shown = HOSTILE.replace(['\u{1}', '\u{b}'], "\u{fffd}");
    assert!(text(&document).contains(&shown));
    for chart in charts(&report).unwrap() {
        Document::parse(&chart.svg).unwrap_or_else(|e| panic!("{}: {e}", chart.name));
    }
}

#[test]
fn charts_are_whole_documents_without_colour() {
    let charts = charts(&full(None)).unwrap();
    assert_eq!(
        charts.iter().map(|c| c.name).collect::<Vec<_>>(),
        ["widths.svg", "schedule.svg", "queues.svg", "parts.svg", "luts.svg"]
    );
    for chart in charts {
        let document = Document::parse(&chart.svg).unwrap();
        assert_eq!(document.root_element().tag_name().name(), "svg");
        assert!(document.root_element().attribute("viewBox").is_some());
        let bars = document.descendants().filter(|n| n.has_tag_name("rect") && n.attribute("fill") != Some("none"));
        assert_eq!(chart.png[1..4], *b"PNG");
        let widths: Vec<u32> = bars.filter_map(|b| b.attribute("width")?.parse().ok()).collect();
        assert!(widths.len() > 3 && widths.iter().all(|&w| w > 0), "{}: {widths:?}", chart.name);
        let colours = document.descendants().flat_map(|n| ["fill", "stroke"].map(|a| n.attribute(a)));
        for colour in colours.flatten().filter_map(|c| c.strip_prefix('#')) {
            assert!(colour[..2] == colour[2..4] && colour[2..4] == colour[4..], "{}: #{colour}", chart.name);
        }
    }
}
