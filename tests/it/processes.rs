//! Process managers on a real log: each effect is recorded once, whatever is repeated, killed or run twice.

mod chaos;
mod document_fixture;
mod document_tasks;
mod document_work;
mod effects;
mod pdf_file;
mod product;
mod trail;
