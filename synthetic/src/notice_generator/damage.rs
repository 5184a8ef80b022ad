//! Damages rows, for tests of imports.

use csv::StringRecord;
use sam_gov::CSV_HEADER;

use super::write_fields;
use crate::generator_rng::GeneratorRng;

/// The kinds of damage. Each makes exactly one rejected row.
#[derive(Debug, Clone, Copy)]
enum RowDamage {
    MissingField,
    ExtraField,
    UnclosedQuote,
    NotUtf8,
    NoAgency,
    BadDate,
    NoType,
    NoNoticeId,
    NulCharacter,
    LongTitle,
    NoTitle,
}

const ALL_KINDS: [RowDamage; 11] = [
    RowDamage::MissingField,
    RowDamage::ExtraField,
    RowDamage::UnclosedQuote,
    RowDamage::NotUtf8,
    RowDamage::NoAgency,
    RowDamage::BadDate,
    RowDamage::NoType,
    RowDamage::NoNoticeId,
    RowDamage::NulCharacter,
    RowDamage::LongTitle,
    RowDamage::NoTitle,
];

/// Writes the row with a random damage, without its line end.
pub(super) fn write_damaged(record: &StringRecord, rng: &mut GeneratorRng, line: &mut Vec<u8>) {
    let all_but_one = || record.iter().take(CSV_HEADER.len() - 1);
    match rng.pick_from(&ALL_KINDS) {
        RowDamage::MissingField => write_fields(all_but_one(), line),
        RowDamage::ExtraField => write_fields(record.iter().chain(["one too many"]), line),
        RowDamage::UnclosedQuote => {
            write_fields(all_but_one(), line);
            line.extend_from_slice(b",\"a text that ends nowhere");
        }
        RowDamage::NotUtf8 => {
            write_fields(record.iter(), line);
            line.insert(3, 0xe9);
        }
        RowDamage::NoAgency => write_with_value(record, "Department/Ind.Agency", " ", line),
        RowDamage::BadDate => write_with_value(record, "PostedDate", "16/03/2026", line),
        RowDamage::NoType => write_with_value(record, "Type", "", line),
        RowDamage::NoNoticeId => write_with_value(record, "NoticeId", " ", line),
        RowDamage::NulCharacter => write_with_value(record, "Title", "a\0b", line),
        RowDamage::LongTitle => write_with_value(record, "Title", &"wheelchair ".repeat(100), line),
        RowDamage::NoTitle => write_with_value(record, "Title", "null", line),
    }
}

fn write_with_value(record: &StringRecord, column: &str, text: &str, line: &mut Vec<u8>) {
    write_fields(CSV_HEADER.iter().zip(record).map(|(name, field)| if *name == column { text } else { field }), line);
}
