//! Saved searches: new opportunities are announced once, to those who may know.

mod import_timing;
mod matching;
mod matching_fixture;
mod product;
