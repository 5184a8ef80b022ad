//! Process managers on a real log: each effect is recorded once, even if something is repeated, killed or run twice.

mod chaos;
mod confinement;
mod document_fixture;
mod document_memory;
mod document_tasks;
mod document_work;
mod effects;
pub(crate) mod long_text;
pub(crate) mod pdf_file;
mod product;
mod runner;
mod trail;
pub(crate) mod uploads;
