//! What end-to-end tests stand on: real stacks, waiting that says what it waits for, and faults on purpose.
#![expect(clippy::panic, reason = "a harness fails a test by panicking with the reason")]

pub mod chaos;
mod editor;
mod eventually;
pub mod faults;
mod stack;
mod subscription;

pub use self::{
    editor::Editor,
    eventually::eventually,
    stack::{Environment, Stack, engines, medhub_local},
    subscription::Subscription,
};
