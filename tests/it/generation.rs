//! Generation of proposals: providers, budgets, the handler of its tasks, and the flow through the product.

mod generation_fixture;
mod handler;
mod product;
mod providers;
mod spending;
mod streaming;
