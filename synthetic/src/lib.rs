//! Generated notices and visits, for demonstrations, benchmarks and tests.

mod generator_rng;
pub mod notice_generator;
pub mod visit_generator;
