//! Rebuilds the crate when a migration is added: `sqlx::migrate!` does not watch its folder.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/postgres");
}
