//! Process managers on a real log: each effect is recorded once, whatever is repeated, killed or run twice.

mod chaos;
mod document_fixture;
mod effects;
mod product;
mod trail;
