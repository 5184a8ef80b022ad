//! Saved searches: new opportunities are announced once, to those who may know.

mod matching;
mod matching_fixture;
mod product;
