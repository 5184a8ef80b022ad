//! Breaks rows on purpose, for tests of what an import does with them.

use csv::StringRecord;

use super::write_fields;
use crate::dice::Dice;
use crate::sam::HEADER;

/// Ways in which a row can be broken. Each makes exactly one rejected row.
#[derive(Debug, Clone, Copy)]
enum Damage {
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

const ALL: [Damage; 11] = [
    Damage::MissingField,
    Damage::ExtraField,
    Damage::UnclosedQuote,
    Damage::NotUtf8,
    Damage::NoAgency,
    Damage::BadDate,
    Damage::NoType,
    Damage::NoNoticeId,
    Damage::NulCharacter,
    Damage::LongTitle,
    Damage::NoTitle,
];

/// Writes a broken form of the row, without its line end.
pub(super) fn write(record: &StringRecord, dice: &mut Dice, line: &mut Vec<u8>) {
    let all_but_one = || record.iter().take(HEADER.len() - 1);
    match dice.pick(&ALL) {
        Damage::MissingField => write_fields(all_but_one(), line),
        Damage::ExtraField => write_fields(record.iter().chain(["one too many"]), line),
        Damage::UnclosedQuote => {
            write_fields(all_but_one(), line);
            line.extend_from_slice(b",\"a text that ends nowhere");
        }
        Damage::NotUtf8 => {
            write_fields(record.iter(), line);
            line.insert(3, 0xe9);
        }
        Damage::NoAgency => write_with(record, "Department/Ind.Agency", " ", line),
        Damage::BadDate => write_with(record, "PostedDate", "16/03/2026", line),
        Damage::NoType => write_with(record, "Type", "", line),
        Damage::NoNoticeId => write_with(record, "NoticeId", " ", line),
        Damage::NulCharacter => write_with(record, "Title", "a\0b", line),
        Damage::LongTitle => write_with(record, "Title", &"wheelchair ".repeat(100), line),
        Damage::NoTitle => write_with(record, "Title", "null", line),
    }
}

fn write_with(record: &StringRecord, column: &str, text: &str, line: &mut Vec<u8>) {
    write_fields(HEADER.iter().zip(record).map(|(name, field)| if *name == column { text } else { field }), line);
}
