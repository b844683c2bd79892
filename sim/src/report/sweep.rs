//! The page of a sweep: plots, every point in a table, and the command that made it.

use serde::Serialize;
use tera::{Context, Tera};

use super::{Chart, ReportError};

/// What the page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SweepPage {
    /// The network's name.
    pub network: String,
    /// SHA-256 of the file that it came from.
    pub source_sha256: String,
    /// Figures of the head, each with its meaning.
    pub headlines: Vec<(String, String)>,
    /// Columns of the table.
    pub columns: Vec<&'static str>,
    /// A row for each point.
    pub rows: Vec<Vec<String>>,
    /// Points without figures: which, and why.
    pub errors: Vec<(String, String)>,
    /// The command that makes the same page.
    pub command: String,
    /// The program and its version, and those of the tools.
    pub tools: String,
}

const NAME: &str = "sweep.html";
const TEMPLATE: &str = include_str!("sweep.html.tera");

#[derive(Serialize)]
struct View<'a> {
    page: &'a SweepPage,
    charts: Vec<&'a str>,
}

/// The page as one HTML document with the plots in it. The same page gives the same bytes.
///
/// # Errors
/// [`ReportError`]; no content causes one.
pub fn sweep(page: &SweepPage, charts: &[Chart]) -> Result<String, ReportError> {
    let error = |e| ReportError::Template(Box::new(e));
    let mut tera = Tera::new();
    tera.add_raw_template(NAME, TEMPLATE).map_err(error)?;
    let view = View { page, charts: charts.iter().map(|c| c.svg.as_str()).collect() };
    let html = tera.render(NAME, &Context::from_serialize(&view).map_err(error)?).map_err(error)?;
    Ok(html.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"))
}
