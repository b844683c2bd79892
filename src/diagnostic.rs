//! Errors as people and programs read them: what happened, a code to search for, the way out.

use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::process::ExitCode;

use generator::error::GenerateError;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use quantizer::certificate::TargetError;
use quantizer::import::ImportError;
use quantizer::onnx::file::{FileError, OtherFormat};
use serde::Serialize;
use sim::tools::ToolError;

use crate::codes::CodeError;
use crate::data::{DataError, Layout};
use crate::error::{Error, ModelError};
use crate::output_dir::OutputDirError;

/// Wrong usage or input.
const INPUT: u8 = 2;
/// A tool is missing, crashed or could not decide.
pub const TOOL: u8 = 3;

/// An error made ready to be shown.
#[derive(Debug)]
pub struct Report {
    /// Exit code of the process.
    pub exit: u8,
    code: &'static str,
    message: String,
    help: Option<String>,
    /// Where there are several things wrong: each of them.
    blockers: Vec<Blocker>,
}

/// One of several things wrong.
#[derive(Debug, Serialize)]
pub struct Blocker {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blockers: &'a [Blocker],
}

impl Report {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Report { exit: INPUT, code: "usage", message: message.into(), help: None, blockers: vec![] }
    }

    /// The error as a JSON document.
    pub fn json(&self) -> String {
        let Report { code, message, help, blockers, .. } = self;
        crate::console::json(&Document {
            schema: "snug.error/1",
            error: Body { code, message, help: help.as_deref(), blockers },
        })
    }

    /// The error as text for stderr: coloured on a terminal, unless NO_COLOR is set; not wrapped elsewhere.
    pub fn text(&self) -> String {
        let terminal = std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let theme = if terminal && !plain { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(terminal);
        let mut text = String::new();
        match handler.render_report(&mut text, self) {
            Ok(()) => text,
            Err(fmt::Error) => self.message.clone(),
        }
    }

    /// The exit code for the operating system.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, blocker) in self.blockers.iter().enumerate() {
            write!(f, "\n  {}. {}", i + 1, blocker.message)?;
            // Where the same way out follows, it is said once.
            if let Some(help) = blocker
                .help
                .as_ref()
                .filter(|h| self.blockers.get(i + 1).and_then(|next| next.help.as_ref()) != Some(*h))
            {
                write!(f, "\n     {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(format!("snug::{}", self.code)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn Display>)
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        let (code, help) = describe(error);
        let exit = if matches!(error, Error::Tool(_) | Error::Verilator(_) | Error::Yosys(_) | Error::Prove(_)) {
            TOOL
        } else {
            INPUT
        };
        Report { exit, code, message: message(error), help, blockers: blockers(error) }
    }
}

/// What happened, in one line where there are blockers below it.
fn message(error: &Error) -> String {
    match error {
        Error::Import(ImportError::Blocked { file, blockers }) => {
            let n = blockers.len();
            format!("'{file}' cannot be built: {n} {} in the way", if n == 1 { "thing stands" } else { "things stand" })
        }
        other => with_sources(other),
    }
}

/// The message and those of its causes, unless a message holds its cause already.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The things wrong, where an error holds several.
fn blockers(error: &Error) -> Vec<Blocker> {
    let plain = |e: &dyn Display| Blocker { code: "network::invalid", message: e.to_string(), help: None };
    match error {
        Error::Import(ImportError::Blocked { blockers, .. }) => {
            let hint = |hint: &str| Some(hint.to_owned()).filter(|h| !h.is_empty());
            let blocker = |b: &quantizer::import::Blocker| Blocker {
                code: "import::blocked",
                message: b.to_string(),
                help: hint(&b.hint),
            };
            blockers.iter().map(blocker).collect()
        }
        Error::Invalid(found) => found.iter().map(|e| plain(e)).collect(),
        _ => vec![],
    }
}

/// Code and way out of an error.
fn describe(error: &Error) -> (&'static str, Option<String>) {
    match error {
        Error::Model(e) => model(e),
        Error::Import(e) => import(e),
        Error::Generate(e) => generate(e),
        Error::Cycle(_) => ("cycle", None),
        Error::Verilator(e) => ("verilator", tool_advice(e)),
        Error::Yosys(e) => ("yosys", tool_advice(e)),
        Error::Prove(e) => prove(e),
        Error::Store { .. } => ("network::damaged", Some("make it again from its .onnx file".to_owned())),
        Error::Data(e) => data(e),
        Error::Codes(e) => codes(e),
        Error::Target(e) => target(e),
        Error::Invalid(_) => ("network::invalid", None),
        Error::Tool(e) => ("tool", e.advice()),
        Error::Golden(_) => ("golden", None),
        Error::OutputDir(e) => output_dir(e),
        Error::Write { .. } | Error::Stdout(_) => ("write", None),
        Error::Usage { help, .. } => ("usage", help.clone()),
    }
}

fn prove(error: &sim::prove::ProveError) -> (&'static str, Option<String>) {
    match error {
        sim::prove::ProveError::Tool(e) => ("yosys", e.advice()),
        _ => ("prove", None),
    }
}

fn model(error: &ModelError) -> (&'static str, Option<String>) {
    match error {
        ModelError::Missing { similar, .. } => {
            ("model::missing", similar.as_ref().map(|s| format!("did you mean {s}?")))
        }
        ModelError::Folder { .. } => (
            "model::folder",
            Some("a model is an .onnx file, a snug network (.safetensors) or a generated folder".to_owned()),
        ),
        ModelError::Settled { .. } => {
            ("model::settled", Some("give the option when importing the .onnx file".to_owned()))
        }
        ModelError::Number { .. } => ("usage", None),
        ModelError::InputType(_) => ("usage", None),
    }
}

const BREVITAS: &str = "export a quantized PyTorch model with Brevitas:
    from brevitas.export import export_qonnx
    export_qonnx(model, args=torch.zeros(1, 784), export_path=\"model.onnx\")";
const QUANTIZE: &str = "quantize it without training:
    snug quantize MODEL --weight-bits 4 --activation-bits 4 --accumulator 16 --method sign-split --calibration DATA -o OUT.safetensors";
const QKERAS: &str = "export a QKeras model with qonnx:
    from qonnx.converters import from_keras
    from_keras(model, output_path=\"model.onnx\")";
const QDQ: &str = "convert it with qonnx:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.qcdq_to_qonnx import QCDQToQuant
    ModelWrapper(\"qdq.onnx\").transform(QCDQToQuant()).save(\"model.onnx\")
or export QONNX from Brevitas instead: export_qonnx(model, args=example, export_path=\"model.onnx\")";

fn import(error: &ImportError) -> (&'static str, Option<String>) {
    match error {
        ImportError::File(FileError::Other { format: OtherFormat::Torch, .. }) => {
            ("import::torch", Some(BREVITAS.to_owned()))
        }
        ImportError::File(FileError::Other { format: OtherFormat::Keras, .. }) => {
            ("import::keras", Some(QKERAS.to_owned()))
        }
        ImportError::File(FileError::Truncated { .. }) => {
            ("import::truncated", Some("copy or download the file again".to_owned()))
        }
        ImportError::File(FileError::NotOnnx { .. }) => (
            "import::not_onnx",
            Some("a model is an .onnx file, a snug network (.safetensors) or a generated folder".to_owned()),
        ),
        ImportError::File(_) => ("import::file", None),
        ImportError::Graph { .. } => ("import::graph", None),
        ImportError::Qdq { .. } => ("import::qdq", Some(QDQ.to_owned())),
        ImportError::Float { .. } => {
            ("import::float", Some(format!("{QUANTIZE}\nor quantize it in training, then {BREVITAS}")))
        }
        ImportError::Blocked { .. } => ("import::blocked", None),
    }
}

fn generate(error: &GenerateError) -> (&'static str, Option<String>) {
    match error {
        GenerateError::UnknownLayer { .. } => ("layer::unknown", Some("`snug inspect` lists the layers".to_owned())),
        GenerateError::Folding { .. } | GenerateError::GroupFolding { .. } => ("folding", None),
        GenerateError::Accumulator { .. } => ("generate::accumulator", None),
        GenerateError::Target { .. } | GenerateError::Budget { .. } => ("folding", None),
        GenerateError::TopName(_) => ("usage", None),
        GenerateError::Unsupported { .. } | GenerateError::NoLabel { .. } => ("generate::unsupported", None),
        GenerateError::Queues(_) => {
            ("generate::queues", Some("this is a defect of snug: please report it with the model".to_owned()))
        }
        GenerateError::Template(_) => {
            ("generate::template", Some("this is a defect of snug: please report it".to_owned()))
        }
    }
}

/// The advice of a tool's error, wherever it is among the causes.
fn tool_advice(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut error = Some(error);
    while let Some(e) = error {
        if let Some(tool) = e.downcast_ref::<ToolError>() {
            return tool.advice();
        }
        error = e.source();
    }
    None
}

fn data(error: &DataError) -> (&'static str, Option<String>) {
    match error {
        DataError::Read { .. } => ("data::read", None),
        DataError::Folder { .. } => ("data::folder", None),
        DataError::Malformed { .. } => ("data::malformed", None),
        DataError::Kind { .. } => ("data::kind", None),
        DataError::Shape { layout: Some(layout), .. } => {
            let layout = match layout {
                Layout::Nhwc => "last: --layout nhwc",
                Layout::Nchw => "first: --layout nchw",
            };
            ("data::shape", Some(format!("it would fit with its channels {layout}")))
        }
        DataError::Shape { what, .. } => {
            ("data::shape", Some(format!("data have the {what}'s shape, with or without a batch dimension in front")))
        }
        DataError::Count { expected, found, .. } if found < expected => {
            ("data::count", Some(format!("--limit {found} takes the first {found} samples of both")))
        }
        DataError::Count { .. } => ("data::count", None),
        DataError::Label { .. } => ("data::label", None),
    }
}

fn codes(error: &CodeError) -> (&'static str, Option<String>) {
    match error {
        CodeError::NoCode { .. } => (
            "data::code",
            Some(
                "`snug inspect` shows what the pins carry; integers are such codes for a stored network or a generated \
                folder, floats and pixels are quantized where it knows its first quantizer"
                    .to_owned(),
            ),
        ),
        CodeError::OffGrid { .. } => (
            "data::code",
            Some(
                "pass the integer codes, or leave --input-type out so that the network's own quantizer applies"
                    .to_owned(),
            ),
        ),
        CodeError::NotFinite { .. } => ("data::finite", None),
        CodeError::Normalise { .. } | CodeError::Channels { .. } | CodeError::ZeroDeviation => ("usage", None),
    }
}

fn target(error: &TargetError) -> (&'static str, Option<String>) {
    match error {
        TargetError::UnknownLayer { .. } => ("layer::unknown", Some("`snug inspect` lists the layers".to_owned())),
        TargetError::Width { .. }
        | TargetError::Mixed { .. }
        | TargetError::Count { .. }
        | TargetError::Twice { .. } => {
            ("usage", Some("--accumulator 12, or 12,12,16 in layer order, or f.10=12,f.13=16 by name".to_owned()))
        }
    }
}

fn output_dir(error: &OutputDirError) -> (&'static str, Option<String>) {
    match error {
        OutputDirError::Foreign { .. } => {
            ("output::foreign", Some("name another folder, or empty this one yourself".to_owned()))
        }
        OutputDirError::File { .. } => ("output::file", None),
        OutputDirError::Edited { .. } => {
            ("output::edited", Some("keep a copy of what you need, then --force replaces the folder".to_owned()))
        }
        OutputDirError::Io { .. } => ("output::write", Some("nothing was changed".to_owned())),
    }
}
