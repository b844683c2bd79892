//! Every assumption has somebody who promises it: read from the Verilog, module by module.

use std::collections::BTreeMap;

use super::stem;

/// An instance in the top, or a processing element in its unit: what each port is tied to.
pub(super) struct Instance<'a> {
    pub(super) module: &'a str,
    name: &'a str,
    /// `.NAME(value)`, in the order in which they stand.
    parameters: Vec<&'a str>,
    pub(super) ports: BTreeMap<&'a str, &'a str>,
}

/// What is wrong with the assumptions in these files (path to text); empty if each is what the module on the other side promises.
///
/// A module that reads stream S assumes `S_watch`; the top must tie it to the module that promises `S_watch` (itself, or of
/// what its exit queue lets out), data, valid and ready alike. The first stream needs no promise: the top claims that its wires can carry
/// nothing else. A unit assumes the ranges of lane p of what its processing element p claims: that must be tied to lane p.
#[must_use]
pub fn unpaired(files: &BTreeMap<String, String>) -> Vec<String> {
    let by_module: BTreeMap<String, &str> = files.iter().map(|(p, t)| (stem(p).to_owned(), t.as_str())).collect();
    let Some((top, text)) = by_module.iter().find(|(_, t)| t.contains("_watch f_s (")) else {
        return vec!["no file has the promises of the streams".to_owned()];
    };
    let mut wrong = Vec::new();
    let mut promised: BTreeMap<String, String> = BTreeMap::new();
    let mut assumed: Vec<(String, String)> = Vec::new();
    if let Some(first) = stream(text, "_watch f_s (", top) {
        promised.insert(first, "the pins".to_owned());
    }
    let first_module = text.split("\nendmodule").next().unwrap_or_default();
    for instance in instances(first_module).iter().filter(|i| i.ports.contains_key("s_axis_tdata")) {
        // A fixed module's claims stand in a module of their own.
        let claims = format!("{top}_{}_claims", instance.name);
        let own = match by_module.get(instance.module) {
            Some(_) if text.contains(&format!("\nmodule {claims} (")) => module(text, &claims),
            Some(text) => text,
            None => "",
        };
        let speaks = |suffixes: &[&str]| suffixes.iter().find_map(|suffix| stream(own, suffix, top));
        for (side, reading, suffixes) in [
            ("s", true, ["_watch f_in (", "_watch f_in0 ("].as_slice()),
            ("s1", true, ["_watch f_in1 ("].as_slice()),
            ("m", false, ["_queue f_queue (", "_queue f_queue0 (", "_watch f_out ("].as_slice()),
            ("m1", false, ["_queue f_queue1 ("].as_slice()),
        ] {
            if !instance.ports.contains_key(format!("{side}_axis_tdata").as_str()) {
                continue;
            }
            let Some(stream) = speaks(suffixes) else {
                wrong.push(format!("{}: neither promises nor assumptions of {side}_axis", instance.name));
                continue;
            };
            for wire in ["tdata", "tvalid", "tready"] {
                let (port, net) = (format!("{side}_axis_{wire}"), format!("{stream}_{wire}"));
                if instance.ports.get(port.as_str()) != Some(&net.as_str()) {
                    wrong.push(format!("{}: {port} is not tied to {net}, of which its claims speak", instance.name));
                }
            }
            if reading {
                assumed.push((stream, instance.name.to_owned()));
            } else {
                promised.insert(stream, instance.name.to_owned());
            }
        }
        // A fixed module is proved with the parameters that it has in the top.
        let proved = instances(own).into_iter().find(|i| i.name == "dut");
        if proved.is_some_and(|p| p.module != instance.module || p.parameters != instance.parameters) {
            wrong.push(format!("{}: its claims were proved of other parameters", instance.name));
        }
        wrong.extend(elements(own, &by_module));
    }
    wrong.extend(
        assumed
            .into_iter()
            .filter(|(stream, _)| !promised.contains_key(stream))
            .map(|(stream, reader)| format!("{reader} assumes the ranges of {stream}, and nobody promises them")),
    );
    wrong
}

/// The processing elements of a unit whose result is not tied to the lane of which they claim something.
fn elements(unit: &str, modules: &BTreeMap<String, &str>) -> Vec<String> {
    let before = unit.split("`ifdef FORMAL\n    // Claims").next().unwrap_or_default();
    let mut wrong = Vec::new();
    // A unit alone has elements and their protocol; an input map has lanes.
    if !unit.contains("_protocol f_protocol (") {
        return wrong;
    }
    let watched = protocol(unit);
    // What comes out of an array is read by its bookkeeping.
    for instance in instances(before).iter().filter(|i| i.ports.contains_key("y") && !i.module.ends_with("_array")) {
        let Some(element) = modules.get(instance.module) else { continue };
        for (&port, &net) in &watched {
            // The beat of an array's sum comes by a port of its own.
            let array = port == "x" && instance.ports.contains_key("f_x");
            let Some(&tied) = instance.ports.get(if array { "f_x" } else { port }) else { continue };
            let copy = unit.contains(&format!("assert ({tied} == {net});"));
            if tied != net && !copy {
                wrong.push(format!(
                    "{}: its {port} is tied to {tied}, and the unit's claims speak of {net}",
                    instance.module
                ));
            }
        }
        for (port, net) in protocol(element) {
            let constant = port == "fold" && net.ends_with("'d0") && !instance.ports.contains_key("fold");
            if net != port && !constant && (port, net) != ("x", "f_x") {
                wrong.push(format!("{}: its claims speak of {net} as {port}", instance.module));
            }
        }
        if !element.contains("wire sum_range =") {
            wrong.push(format!("{}: it claims nothing of its lane", instance.module));
            continue;
        }
        let lane = element.split_once("| (f_lane_ok[").and_then(|(_, r)| r.split(']').next()?.parse::<usize>().ok());
        let width = element.split_once("output wire [").and_then(|(_, r)| r.split(':').next()?.parse::<usize>().ok());
        let tied = lane.zip(width).map(|(p, w)| format!("y[{}:{}]", (p + 1) * (w + 1) - 1, p * (w + 1)));
        if tied.is_none() || instance.ports.get("y").copied() != tied.as_deref() {
            wrong.push(format!("{}: y is not tied to the lane of which it claims something", instance.module));
        }
    }
    wrong
}

/// What comes to a unit's protocol where it stands in `text`: port and net.
fn protocol(text: &str) -> BTreeMap<&str, &str> {
    let Some((_, rest)) = text.split_once("_protocol f_protocol (") else { return BTreeMap::new() };
    let ports = rest.split(");").next().unwrap_or_default().split(')');
    ports
        .filter_map(|p| p.trim_start_matches([',', ' ', '\n']).strip_prefix('.')?.split_once('('))
        .filter(|(port, _)| ["fold", "x", "sum_valid", "sum_first"].contains(port) || port.starts_with("channel"))
        .collect()
}

/// The stream S of `<top>_S<suffix>` where it stands in `text`.
fn stream(text: &str, suffix: &str, top: &str) -> Option<String> {
    let word = text.split_once(suffix)?.0.split_whitespace().last()?;
    word.strip_prefix(top)?.strip_prefix('_').map(str::to_owned)
}

/// The text of one module of a file.
fn module<'a>(text: &'a str, name: &str) -> &'a str {
    let from = text.find(&format!("\nmodule {name} (")).unwrap_or(text.len());
    text[from..].split("\nendmodule").next().unwrap_or_default()
}

/// Instances as snug prints them: `    <module> [#(...)] <instance> (`, parameters in that line or on lines of their own, and
/// `        .<port>(<net>)` on lines of their own.
pub(super) fn instances(text: &str) -> Vec<Instance<'_>> {
    let mut found: Vec<Instance<'_>> = Vec::new();
    let mut kind = "";
    let mut parameters: Option<Vec<&str>> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        if line.len() - bare.len() == 4
            && (line.ends_with(" (") || line.ends_with("#("))
            && !bare.starts_with("module ")
        {
            let mut words = bare.split_whitespace();
            let first = words.next().unwrap_or_default();
            let last = bare.trim_end_matches('(').split_whitespace().last().unwrap_or_default();
            if line.ends_with("#(") {
                kind = first;
                parameters = Some(Vec::new());
            } else {
                let module = if first == ")" { kind } else { first };
                let inline = bare.split_once("#(").and_then(|(_, rest)| rest.rsplit_once(") "));
                let own = inline.map_or_else(Vec::new, |(list, _)| list.split(", ").collect());
                let parameters = parameters.take().unwrap_or(own);
                found.push(Instance { module, name: last, parameters, ports: BTreeMap::new() });
            }
        } else if let Some(list) = &mut parameters
            && bare.starts_with('.')
        {
            list.push(bare.trim_end_matches(','));
        } else if let Some(port) = bare.strip_prefix('.')
            && let Some((name, net)) = port.split_once('(')
            && let Some(instance) = found.last_mut()
        {
            let net = net.trim_end_matches(',');
            instance.ports.insert(name, net.strip_suffix(')').unwrap_or(net));
        }
    }
    found
}
