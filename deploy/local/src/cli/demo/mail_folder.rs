//! The folder into which the product writes mails.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The mails of a folder, each reported once.
#[derive(Debug)]
pub(super) struct MailFolder {
    folder: PathBuf,
    seen: BTreeSet<PathBuf>,
}

impl MailFolder {
    /// The folder, which need not exist before the first mail.
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), seen: BTreeSet::new() }
    }

    /// A mail to `address` that was not reported before.
    ///
    /// # Errors
    /// If the folder or a mail in it cannot be read.
    pub(super) fn find_new_mail(&mut self, address: &str) -> anyhow::Result<Option<PathBuf>> {
        for path in self.list().with_context(|| format!("reading the folder {}", self.folder.display()))? {
            if !self.seen.insert(path.clone()) {
                continue;
            }
            let mail = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let recipient = format!("To: {address}");
            if String::from_utf8_lossy(&mail).lines().any(|line| line == recipient) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(error),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let is_mail = |path: &PathBuf| Path::extension(path).is_some_and(|extension| extension == "eml");
        paths.filter(|path| path.as_ref().map_or(true, is_mail)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mail_is_found_once_and_by_its_recipient() {
        let folder = tempfile::tempdir().unwrap();
        let mut mails = MailFolder::new(folder.path().join("mails"));
        assert_eq!(mails.find_new_mail("ann@a.example").unwrap(), None);
        fs::create_dir(folder.path().join("mails")).unwrap();
        let path = folder.path().join("mails/1.eml");
        fs::write(&path, "Subject: s\r\nTo: ann@a.example\r\n\r\ntext").unwrap();
        fs::write(folder.path().join("mails/2.eml"), "To: ann@b.example\r\n\r\ntext").unwrap();
        fs::write(folder.path().join("mails/3.eml.tmp"), "To: ann@a.example\r\n\r\ntext").unwrap();
        assert_eq!(mails.find_new_mail("ann@a.example").unwrap(), Some(path));
        assert_eq!(mails.find_new_mail("ann@a.example").unwrap(), None);
    }
}
