//! hw-templates
