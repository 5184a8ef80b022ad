//! `medhub-local up`: runs a stack in the foreground.

use std::{fs, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use tokio::sync::oneshot;

use super::{FolderOptions, stack_options::StackOptions};
use crate::{engine::EngineKind, stack_state, supervised_stack};

#[derive(Debug, Args)]
pub(super) struct UpCommand {
    /// Start the engines only, neither migrating nor serving.
    #[arg(long)]
    engines_only: bool,
    /// Start these engines only, neither migrating nor serving, e.g. `postgres,registry,kafka`.
    #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', value_parser = parse_engine)]
    only: Vec<EngineKind>,
    /// Stop when standard input ends: for programs that start a stack and may die themselves.
    #[arg(long, hide = true)]
    stop_at_input_end: bool,
    /// Remove the data folder at the end.
    #[arg(long, hide = true)]
    discard: bool,
    #[command(flatten)]
    options: StackOptions,
}

impl UpCommand {
    pub(super) async fn run(self, folders: &FolderOptions) -> anyhow::Result<ExitCode> {
        let mut options = self.options.into_stack_config(folders, !self.engines_only && self.only.is_empty())?;
        if !self.only.is_empty() {
            options.engines.retain(|engine| self.only.contains(engine));
            options.urls.retain(|engine, _| self.only.contains(engine));
        }
        let stop_request = self.stop_at_input_end.then(watch_input_end);
        options.settings.is_temporary = self.discard;
        let discarded_folder = self.discard.then(|| options.settings.data_folder.clone());
        let outcome = supervised_stack::run_stack(options, stop_request, async |stack| {
            print_addresses(&stack.state());
            std::future::pending().await
        })
        .await;
        if let Some(folder) = discarded_folder {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        outcome
    }
}

fn parse_engine(name: &str) -> Result<EngineKind, String> {
    let found = EngineKind::ALL.into_iter().find(|engine| engine.name() == name);
    found.ok_or_else(|| format!("no such engine; known: {}", EngineKind::ALL.map(EngineKind::name).join(", ")))
}

/// Resolves when standard input ends. The thread that reads it is never joined: the read cannot be interrupted.
fn watch_input_end() -> oneshot::Receiver<()> {
    let (sender, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // A read error ends the input too.
        let _outcome = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _receiver_gone = sender.send(());
    });
    ended
}

/// Prints the addresses of a stack, the product's first.
pub(super) fn print_addresses(state: &stack_state::StackState) {
    if let Some(http) = &state.http {
        println!("\n{:<12}{http}/graphql", "graphql");
        println!("{:<12}{http}/ready", "ready");
    } else {
        println!();
    }
    for engine in EngineKind::ALL {
        let Some(url) = state.variables.get(engine.variable()) else { continue };
        println!("{:<12}{}", engine.name(), mask_password(url));
    }
    if state.http.is_some() {
        println!("\n`medhub-local env` shows the operator's token.");
    }
    println!("\nCtrl-C or `medhub-local stop` stops it.");
}

/// A URL with its password masked.
pub(super) fn mask_password(url: &str) -> String {
    let masked = || {
        let (scheme, rest) = url.split_once("://")?;
        let (login, address) = rest.split_once('@')?;
        let (user, _password) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{address}"))
    };
    masked().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::mask_password;

    #[test]
    fn passwords_in_urls_are_masked() {
        assert_eq!(mask_password("postgres://me:secret@db:5432/x"), "postgres://me:***@db:5432/x");
        assert_eq!(mask_password("postgres://me@db/x"), "postgres://me@db/x");
        assert_eq!(mask_password("127.0.0.1:9093"), "127.0.0.1:9093");
    }
}
