//! A mail server of a test's own: aiosmtpd, with answers that depend on the recipient.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mail::{SmtpEncryption, SmtpServer};
use tempfile::TempDir;
use tests::python_command;

const PACKAGES: [&str; 2] = ["aiosmtpd==1.4.6", "trustme==1.2.1"];

/// A running server, which ends when this is dropped.
pub(super) struct TestSmtpServer {
    child: Child,
    port: u16,
    encryption: SmtpEncryption,
    folder: TempDir,
}

impl Drop for TestSmtpServer {
    fn drop(&mut self) {
        // The server ends with its standard input; this only removes it from the list of processes.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

impl TestSmtpServer {
    pub(super) fn start(encryption: SmtpEncryption) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/mail/smtp_server.py");
        let mode = match encryption {
            SmtpEncryption::None => "plain",
            SmtpEncryption::StartTls => "starttls",
            SmtpEncryption::ImplicitTls => "tls",
        };
        let mut command: Command = python_command(&PACKAGES);
        command.arg(script).arg(folder.path()).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server prints its port");
        Self { child, port, encryption, folder }
    }

    /// The file with the certificate of its authority.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The server's settings for a client that trusts it.
    pub(super) fn settings(&self) -> SmtpServer {
        let authority = std::fs::read(self.authority()).unwrap();
        SmtpServer {
            host: "localhost".to_owned(),
            port: self.port,
            encryption: self.encryption,
            credentials: None,
            trusted_certificates: Some(authority),
            timeout: Duration::from_secs(20),
            max_connections: 2,
        }
    }

    /// The accepted mails in their order: recipient's user, the client's port, content.
    pub(super) fn accepted(&self) -> Vec<(String, u16, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let mut accepted: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap();
                let parts: Vec<_> = name.split('-').collect();
                let number: u32 = parts[0].parse().unwrap();
                (number, (parts[1].to_owned(), parts[2].parse().unwrap(), std::fs::read(&path).unwrap()))
            })
            .collect();
        accepted.sort();
        accepted.into_iter().map(|(_, mail)| mail).collect()
    }
}
