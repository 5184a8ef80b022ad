//! Lists the migrations of `../migrations/postgres` in `migrations.rs`, each with its number, description and text.
//!
//! `sqlx::migrate!` does the same; it is not used, because sqlx's macros compile the whole Postgres client a second time.

#![expect(clippy::disallowed_methods, reason = "cargo passes folders to build scripts in the environment")]

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../migrations/postgres").canonicalize()?;
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut migrations = vec![];
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let Some((number, rest)) = name.split_once('_') else { continue };
        let Some(description) = rest.strip_suffix(".sql") else { continue };
        migrations.push((number.parse::<i64>()?, description.replace('_', " "), path));
    }
    migrations.sort();
    let mut list = String::from("[\n");
    for (number, description, path) in migrations {
        println!("cargo:rerun-if-changed={}", path.display());
        writeln!(list, "    ({number}, {description:?}, include_str!({:?})),", path.display().to_string())?;
    }
    list.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}
