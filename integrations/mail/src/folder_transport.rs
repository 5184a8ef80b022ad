//! Delivery into a folder, for local runs: each mail is a file `<mail id>.eml`.

use std::{io, path::PathBuf};

use futures::future::BoxFuture;

use crate::{ComposedMail, DeliveryError, DeliveryStage, MailTransport};

/// Writes mails into a folder, which is created with the first mail.
#[derive(Debug, Clone)]
pub struct FolderTransport {
    folder: PathBuf,
}

impl FolderTransport {
    /// Writes into `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn write_mail(&self, mail: &ComposedMail) -> io::Result<String> {
        tokio::fs::create_dir_all(&self.folder).await?;
        let name = format!("{}.eml", mail.mail_id);
        // Readers of the folder see whole mails only.
        let unfinished = self.folder.join(format!("{name}.tmp"));
        tokio::fs::write(&unfinished, &mail.bytes).await?;
        tokio::fs::rename(&unfinished, self.folder.join(&name)).await?;
        Ok(format!("written to {name}"))
    }
}

impl MailTransport for FolderTransport {
    fn check(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async move {
            tokio::fs::create_dir_all(&self.folder).await.map_err(|error| DeliveryError::Transient {
                stage: DeliveryStage::Connection,
                reason: format!("creating the folder {}: {error}", self.folder.display()),
            })
        })
    }

    fn deliver<'a>(&'a self, mail: &'a ComposedMail) -> BoxFuture<'a, Result<String, DeliveryError>> {
        Box::pin(async move {
            self.write_mail(mail).await.map_err(|error| DeliveryError::Transient {
                stage: DeliveryStage::Message,
                reason: format!("writing into the folder {}: {error}", self.folder.display()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{MailComposer, MailContent, OutgoingMail};

    fn composed() -> ComposedMail {
        let mail = OutgoingMail {
            mail_id: Uuid::from_u128(7),
            to: "ann@clinic.example".to_owned(),
            date: "2026-03-09T12:00:00Z".parse().unwrap(),
            content: MailContent { subject: "s".to_owned(), text: "t".to_owned(), html: "h".to_owned() },
            unsubscribe_url: "https://medhub.example/u".to_owned(),
        };
        MailComposer::new("no-reply@medhub.example").unwrap().compose(&mail).unwrap()
    }

    #[tokio::test]
    async fn a_mail_is_one_file_also_when_it_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let transport = FolderTransport::new(folder.path().join("mails"));
        for _ in 0..2 {
            transport.deliver(&composed()).await.unwrap();
        }
        let names: Vec<_> =
            std::fs::read_dir(folder.path().join("mails")).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["00000000-0000-0000-0000-000000000007.eml"]);
        let bytes = std::fs::read(folder.path().join("mails").join(&names[0])).unwrap();
        assert_eq!(bytes, composed().as_bytes());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_tried_again_later() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = FolderTransport::new(folder.path().join("file")).deliver(&composed()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Transient { stage: DeliveryStage::Message, .. }), "{error:?}");
    }
}
