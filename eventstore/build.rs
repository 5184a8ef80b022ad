//! A migration that was added is built in: the macro that does it does not watch the folder.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/postgres");
}
