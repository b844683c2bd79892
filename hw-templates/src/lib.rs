//! Verilog: fixed modules, templates, and one typed context struct per template. It knows Verilog and no networks.
//!
//! The fixed modules are hand-written and shared by every design; the templates are filled once a module. Rendering
//! the same context gives the same bytes.

mod array;
mod context;
mod fixed;
mod formal;
mod formal_fixed;
mod heap;
mod streamed;

pub use array::{ArrayCell, ArrayNumber, ArrayRow, UnrolledArray, UnrolledStream};
pub use context::*;
pub use fixed::{FIXED, Fixed, XC7};
pub use formal::*;
pub use formal_fixed::*;
pub use heap::{HeapDelay, HeapRow, HeapSum};
pub use streamed::{StreamedElement, StreamedLane, StreamedUnit};

use serde::Serialize;
use tera::{Context, Tera};
use thiserror::Error;

/// A template could not be filled: a defect of ours, never of the user's input.
#[derive(Debug, Error)]
#[error("template {template}: {source}")]
pub struct TemplateError {
    /// The template's file name.
    pub template: &'static str,
    /// What the engine says, with line and column.
    pub source: Box<tera::Error>,
}

/// The parsed templates.
pub struct Templates {
    tera: Tera,
}

/// A context struct and the template that it fills.
pub trait Template: Serialize {
    /// File name of the template.
    const NAME: &'static str;
    /// Its text.
    const TEXT: &'static str;
}

impl Templates {
    /// Parses every template.
    ///
    /// # Errors
    /// If a template does not parse.
    pub fn new() -> Result<Self, TemplateError> {
        let mut tera = Tera::new();
        for (name, text) in context::ALL {
            tera.add_raw_template(name, text).map_err(|e| TemplateError { template: name, source: Box::new(e) })?;
        }
        tera.autoescape_on(Vec::<&'static str>::new());
        Ok(Templates { tera })
    }

    /// Fills the template of `context`.
    ///
    /// # Errors
    /// If the template names something that the context lacks.
    pub fn render<T: Template>(&self, context: &T) -> Result<String, TemplateError> {
        let error = |e| TemplateError { template: T::NAME, source: Box::new(e) };
        let context = Context::from_serialize(context).map_err(error)?;
        let mut text = self.tera.render(T::NAME, &context).map_err(error)?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}
