//! Rows in the binary format of `COPY`: nothing has to be formatted and parsed, which halves the time of a filling.

use chrono::{DateTime, Utc};

use super::{
    counter::{CounterDelta, CounterKey},
    list_change::ListedAward,
    list_entry::{AwardTotals, verify_bucket},
    search_terms::{TermPosition, collect_terms},
};
use crate::ListEntry;

/// Signature, flags and length of the extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Number of columns that ends the data.
const TRAILER: i16 = -1;

/// Length of an absent value.
const NULL: i32 = -1;

/// Microseconds from 1970 to 2000, the server's epoch.
const SERVER_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Type of the elements of `text[]`.
const TEXT_OID: i32 = 25;

/// The highest weight of a position in a `tsvector`, in its upper two bits.
const WEIGHT_A: u16 = 3 << 14;

/// The columns of `opportunities`, as [`CopiedRows::push_entry`] writes them.
pub(super) const ENTRY_COLUMNS: &str = "id, bucket, sequence, notice_id, notice_type, title, description, \
    solicitation_number, agency_code, agency_name, sub_tier, office, set_aside, naics, naics_sector, psc, posted_at, \
    posted_rank, response_deadline, active, link, place_city, place_state, awards, awarded_cents, terms, facets";
const ENTRY_COLUMN_COUNT: i16 = 27;

/// The columns of `awards`, as [`CopiedRows::push_award`] writes them.
pub(super) const AWARD_COLUMNS: &str = "opportunity_id, award_key, bucket, sequence, amount_cents";
const AWARD_COLUMN_COUNT: i16 = 5;

/// The columns of a counter beside its key: three numbers.
const COUNTER_FIGURE_COUNT: i16 = 3;

/// Base of the digits of a `numeric`, and its sign if it is negative.
const NUMERIC_BASE: u128 = 10_000;
const NUMERIC_NEGATIVE: i16 = 0x4000;

/// Rows of one table.
pub(super) struct CopiedRows {
    bytes: Vec<u8>,
    rows: usize,
}

impl CopiedRows {
    pub(super) fn new() -> Self {
        Self { bytes: HEADER.to_vec(), rows: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Size of the data that were not taken yet.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The data so far, to send before the rest.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The data to send, or the rest of them.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(TRAILER.to_be_bytes());
        self.bytes
    }

    pub(super) fn push_entry(&mut self, entry: &ListEntry, awards: AwardTotals) {
        self.begin_row(ENTRY_COLUMN_COUNT);
        self.push_text(&entry.id);
        self.push_value(entry.bucket().to_be_bytes());
        self.push_value(entry.sequence.to_be_bytes());
        self.push_text(&entry.notice_id);
        self.push_text(&entry.notice_type);
        self.push_text(&entry.title);
        self.push_optional_text(entry.description.as_deref());
        self.push_optional_text(entry.solicitation_number.as_deref());
        self.push_text(&entry.agency_code);
        self.push_text(&entry.agency_name);
        self.push_optional_text(entry.sub_tier.as_deref());
        self.push_optional_text(entry.office.as_deref());
        self.push_optional_text(entry.set_aside.as_deref());
        self.push_optional_text(entry.naics.as_deref());
        self.push_optional_text(entry.naics_sector().as_deref());
        self.push_optional_text(entry.psc.as_deref());
        self.push_value(server_micros(entry.posted_at).to_be_bytes());
        self.push_value(entry.posted_rank().to_be_bytes());
        self.push_optional(entry.response_deadline.map(|deadline| server_micros(deadline).to_be_bytes()));
        self.push_optional(entry.active.map(|active| [u8::from(active)]));
        self.push_optional_text(entry.link.as_deref());
        self.push_optional_text(entry.place_city.as_deref());
        self.push_optional_text(entry.place_state.as_deref());
        self.push_value(awards.count.to_be_bytes());
        self.push_optional(awards.cents.map(i64::to_be_bytes));
        self.push_terms(entry);
        self.push_texts(&entry.facets());
    }

    pub(super) fn push_award(&mut self, award: &ListedAward) {
        self.begin_row(AWARD_COLUMN_COUNT);
        self.push_text(&award.opportunity_id);
        self.push_text(&award.key);
        self.push_value(verify_bucket(&award.opportunity_id).to_be_bytes());
        self.push_value(award.sequence.to_be_bytes());
        self.push_optional(award.amount_cents.map(i64::to_be_bytes));
    }

    /// A row of the table of the key, with the columns of `CounterTable::copied_columns`.
    pub(super) fn push_counter(&mut self, key: &CounterKey, count: CounterDelta) {
        let table = key.table();
        self.begin_row(2 * i16::try_from(table.key_parts()).unwrap_or_default() + COUNTER_FIGURE_COUNT);
        for part in key.0.iter().take(table.key_parts()) {
            self.push_value(part.dimension.to_be_bytes());
            self.push_text(&part.value);
        }
        self.push_value(count.opportunities.to_be_bytes());
        self.push_value(count.awarded.to_be_bytes());
        self.push_numeric(count.cents);
    }

    fn push_numeric(&mut self, number: i128) {
        let (mut digits, mut rest) = (vec![], number.unsigned_abs());
        while rest > 0 {
            digits.push(i16::try_from(rest % NUMERIC_BASE).unwrap_or_default());
            rest /= NUMERIC_BASE;
        }
        let count = i16::try_from(digits.len()).unwrap_or_default();
        let (sign, decimals) = (if number < 0 { NUMERIC_NEGATIVE } else { 0 }, 0);
        self.push_sized(|bytes| {
            for part in [count, (count - 1).max(0), sign, decimals].into_iter().chain(digits.into_iter().rev()) {
                bytes.extend(part.to_be_bytes());
            }
        });
    }

    fn begin_row(&mut self, columns: i16) {
        self.rows += 1;
        self.bytes.extend(columns.to_be_bytes());
    }

    fn push_text(&mut self, text: &str) {
        self.push_value(text.as_bytes());
    }

    fn push_optional_text(&mut self, text: Option<&str>) {
        self.push_optional(text.map(str::as_bytes));
    }

    fn push_optional(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.push_value(value),
            None => self.bytes.extend(NULL.to_be_bytes()),
        }
    }

    fn push_value(&mut self, value: impl AsRef<[u8]>) {
        self.bytes.extend(to_i32(value.as_ref().len()).to_be_bytes());
        self.bytes.extend(value.as_ref());
    }

    /// A value whose length is known when it has been written.
    fn push_sized(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend(NULL.to_be_bytes());
        write(&mut self.bytes);
        let written = to_i32(self.bytes.len().saturating_sub(start + size_of::<i32>()));
        if let Some(length) = self.bytes.get_mut(start..start + size_of::<i32>()) {
            length.copy_from_slice(&written.to_be_bytes());
        }
    }

    fn push_terms(&mut self, entry: &ListEntry) {
        let terms = collect_terms(&entry.title, entry.solicitation_number.as_deref(), entry.description.as_deref());
        self.push_sized(|bytes| {
            bytes.extend(to_i32(terms.len()).to_be_bytes());
            for (word, TermPosition { position, is_title }) in terms {
                bytes.extend(word.as_bytes());
                bytes.push(0);
                bytes.extend(1_u16.to_be_bytes());
                bytes.extend((position | if is_title { WEIGHT_A } else { 0 }).to_be_bytes());
            }
        });
    }

    fn push_texts(&mut self, texts: &[String]) {
        let (dimensions, has_null, first_index) = (1_i32, 0_i32, 1_i32);
        self.push_sized(|bytes| {
            for number in [dimensions, has_null, TEXT_OID, to_i32(texts.len()), first_index] {
                bytes.extend(number.to_be_bytes());
            }
            for text in texts {
                bytes.extend(to_i32(text.len()).to_be_bytes());
                bytes.extend(text.as_bytes());
            }
        });
    }
}

/// Lengths beyond this are refused by the server long before.
fn to_i32(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn server_micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros().saturating_sub(SERVER_EPOCH_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_digits_of_four_decimals() {
        let numeric = |number| {
            let mut rows = CopiedRows { bytes: vec![], rows: 0 };
            rows.push_numeric(number);
            rows.bytes.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
        };
        // Length in bytes, number of digits, weight of the first one, sign, decimals, digits.
        assert_eq!(numeric(0), [0, 8, 0, 0, 0, 0]);
        assert_eq!(numeric(7), [0, 10, 1, 0, 0, 0, 7]);
        assert_eq!(numeric(-120_000_005), [0, 14, 3, 2, NUMERIC_NEGATIVE, 0, 1, 2_000, 5]);
    }
}
