//! The page of a sweep: plots, what single networks among the points are, every point in a table, and the commands that made it.

use serde::Serialize;

use super::page::{self, Network};
use super::{Chart, Report, ReportError, charts};

/// What the page shows.
#[derive(Clone, Debug, Default)]
pub struct SweepPage {
    /// The table of all points, and all that stands around it.
    pub table: Table,
    /// Networks that are shown in full.
    pub sections: Vec<Section>,
}

/// The points, and what is said of all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
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
    /// The commands that make the same page, and what they are about, as comments.
    pub commands: Vec<String>,
    /// The program and its version, and those of the tools.
    pub tools: String,
}

/// A network of the sweep.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// A sentence under it.
    pub text: String,
    /// Layers, schedule, cost and proof.
    pub report: Report,
}

#[derive(Serialize)]
struct View<'a> {
    page: &'a Table,
    charts: Vec<&'a str>,
    networks: Vec<Network<'a>>,
}

/// The page as one HTML document with the plots in it. The same page gives the same bytes.
///
/// # Errors
/// [`ReportError`]; no content causes one.
pub fn sweep(page: &SweepPage, plots: &[Chart]) -> Result<String, ReportError> {
    let own = page.sections.iter().map(|s| charts(&s.report)).collect::<Result<Vec<_>, _>>()?;
    let mut networks = Vec::new();
    for (section, charts) in page.sections.iter().zip(&own) {
        networks.push(Network::new(&section.report, charts, "h3", [&section.title, &section.text]));
    }
    let view = View { page: &page.table, charts: plots.iter().map(|c| c.svg.as_str()).collect(), networks };
    page::page("sweep.html", &view)
}
