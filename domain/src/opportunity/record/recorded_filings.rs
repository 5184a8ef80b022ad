//! The digests of the notices that an opportunity's record has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::opportunity::{
    event::NoticeFiling,
    value::{NoticeId, NoticeSource},
};

/// Notice -> source -> digest of the last version from that source. It is stored as such maps, and held as a sorted list:
/// nearly every opportunity has one notice from one source, for which two maps would take a kilobyte.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<NoticeId, BTreeMap<NoticeSource, String>>")]
pub(super) struct RecordedFilings(Vec<RecordedFiling>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct RecordedFiling {
    notice_id: NoticeId,
    source: NoticeSource,
    digest: String,
}

impl RecordedFilings {
    /// The first filing.
    pub(super) fn new(filing: NoticeFiling) -> Self {
        Self(vec![filing.into()])
    }

    /// Adds a filing, or replaces the one of the same notice from the same source.
    pub(super) fn record(&mut self, filing: NoticeFiling) {
        let filing = RecordedFiling::from(filing);
        match self.0.binary_search_by(|known| known.key().cmp(&filing.key())) {
            Ok(index) => self.0[index] = filing,
            Err(index) => self.0.insert(index, filing),
        }
    }

    /// The digest of the last version of a notice from a source.
    pub(super) fn digest(&self, notice_id: &NoticeId, source: NoticeSource) -> Option<&str> {
        let mut filings = self.0.iter().filter(|known| known.key() == (notice_id, source));
        filings.next().map(|known| known.digest.as_str())
    }

    /// Whether a notice is recorded from any source.
    pub(super) fn has_notice(&self, notice_id: &NoticeId) -> bool {
        self.0.iter().any(|known| known.notice_id == *notice_id)
    }

    /// The number of notices.
    pub(super) fn notice_count(&self) -> usize {
        self.by_notice().count()
    }

    fn by_notice(&self) -> impl Iterator<Item = &[RecordedFiling]> {
        self.0.chunk_by(|one, next| one.notice_id == next.notice_id)
    }
}

impl RecordedFiling {
    fn key(&self) -> (&NoticeId, NoticeSource) {
        (&self.notice_id, self.source)
    }
}

impl From<NoticeFiling> for RecordedFiling {
    fn from(NoticeFiling { notice_id, source, digest, posted_at: _ }: NoticeFiling) -> Self {
        Self { notice_id, source, digest }
    }
}

impl From<BTreeMap<NoticeId, BTreeMap<NoticeSource, String>>> for RecordedFilings {
    fn from(notices: BTreeMap<NoticeId, BTreeMap<NoticeSource, String>>) -> Self {
        let filings = notices.into_iter().flat_map(|(notice_id, by_source)| {
            let to_filing = move |(source, digest)| RecordedFiling { notice_id: notice_id.clone(), source, digest };
            by_source.into_iter().map(to_filing)
        });
        Self(filings.collect())
    }
}

impl Serialize for RecordedFilings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let notices = self.by_notice();
        serializer
            .collect_map(notices.filter_map(|filings| Some((&filings.first()?.notice_id, SourceDigests(filings)))))
    }
}

/// The filings of one notice, as a map.
struct SourceDigests<'a>(&'a [RecordedFiling]);

impl Serialize for SourceDigests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|filing| (filing.source, &filing.digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filing(notice: &str, source: NoticeSource, digest: &str) -> NoticeFiling {
        let (notice_id, posted_at) = (NoticeId::try_new(notice).unwrap(), chrono::DateTime::UNIX_EPOCH);
        NoticeFiling { notice_id, source, posted_at, digest: digest.to_owned() }
    }

    #[test]
    fn filings_are_stored_as_maps_in_the_order_of_their_keys() {
        let mut filings = RecordedFilings::new(filing("n2", NoticeSource::Manual, "a"));
        for (notice, source, digest) in
            [("n2", NoticeSource::SamCsv, "b"), ("n1", NoticeSource::SamApi, "c"), ("n2", NoticeSource::Manual, "d")]
        {
            filings.record(filing(notice, source, digest));
        }
        let text = serde_json::to_string(&filings).unwrap();
        assert_eq!(text, r#"{"n1":{"sam_api":"c"},"n2":{"sam_csv":"b","manual":"d"}}"#);
        assert_eq!(serde_json::from_str::<RecordedFilings>(&text).unwrap(), filings);
        let (n2, n3) = (NoticeId::try_new("n2").unwrap(), NoticeId::try_new("n3").unwrap());
        assert_eq!((filings.notice_count(), filings.has_notice(&n2), filings.has_notice(&n3)), (2, true, false));
        assert_eq!(filings.digest(&n2, NoticeSource::Manual), Some("d"));
        assert_eq!(filings.digest(&n2, NoticeSource::SamText), None);
    }
}
