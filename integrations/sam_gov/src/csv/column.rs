//! The columns of the extract, the columns that are read, and their positions in a file.

use crate::SourceError;

/// The header of SAM.gov's file, in its order.
pub const CSV_HEADER: [&str; 47] = [
    "NoticeId",
    "Title",
    "Sol#",
    "Department/Ind.Agency",
    "CGAC",
    "Sub-Tier",
    "FPDS Code",
    "Office",
    "AAC Code",
    "PostedDate",
    "Type",
    "BaseType",
    "ArchiveType",
    "ArchiveDate",
    "SetASideCode",
    "SetASide",
    "ResponseDeadLine",
    "NaicsCode",
    "ClassificationCode",
    "PopStreetAddress",
    "PopCity",
    "PopState",
    "PopZip",
    "PopCountry",
    "Active",
    "AwardNumber",
    "AwardDate",
    "Award$",
    "Awardee",
    "PrimaryContactTitle",
    "PrimaryContactFullname",
    "PrimaryContactEmail",
    "PrimaryContactPhone",
    "PrimaryContactFax",
    "SecondaryContactTitle",
    "SecondaryContactFullname",
    "SecondaryContactEmail",
    "SecondaryContactPhone",
    "SecondaryContactFax",
    "OrganizationType",
    "State",
    "City",
    "ZipCode",
    "CountryCode",
    "AdditionalInfoLink",
    "Link",
    "Description",
];

/// A column that is read. The header must have it.
#[derive(Debug, Clone, Copy)]
pub(super) enum CsvColumn {
    NoticeId,
    Title,
    SolicitationNumber,
    Department,
    SubTier,
    Office,
    PostedDate,
    Type,
    BaseType,
    ArchiveDate,
    SetAsideCode,
    ResponseDeadline,
    NaicsCode,
    ClassificationCode,
    PopCity,
    PopState,
    PopZip,
    PopCountry,
    Active,
    AwardNumber,
    AwardDate,
    AwardAmount,
    Awardee,
    Link,
    Description,
}

/// Names of the columns that are read, in the order of [`CsvColumn`].
const READ_COLUMNS: [&str; 25] = [
    "NoticeId",
    "Title",
    "Sol#",
    "Department/Ind.Agency",
    "Sub-Tier",
    "Office",
    "PostedDate",
    "Type",
    "BaseType",
    "ArchiveDate",
    "SetASideCode",
    "ResponseDeadLine",
    "NaicsCode",
    "ClassificationCode",
    "PopCity",
    "PopState",
    "PopZip",
    "PopCountry",
    "Active",
    "AwardNumber",
    "AwardDate",
    "Award$",
    "Awardee",
    "Link",
    "Description",
];

impl CsvColumn {
    pub(super) fn name(self) -> &'static str {
        READ_COLUMNS[self as usize]
    }
}

/// Positions of the columns that are read in one file.
pub(super) struct ColumnPositions([usize; READ_COLUMNS.len()]);

impl ColumnPositions {
    /// Finds the columns by name, in any order; other columns are ignored.
    pub(super) fn from_header(header: &[String]) -> Result<Self, SourceError> {
        let select_names = |filter: &dyn Fn(&str) -> bool, names: &[&str]| -> Vec<String> {
            names.iter().filter(|name| filter(name)).map(|name| (*name).to_owned()).collect()
        };
        let present: Vec<&str> = header.iter().map(String::as_str).collect();
        let count = |name: &str| present.iter().filter(|other| **other == name).count();
        let missing = select_names(&|name| count(name) == 0, &READ_COLUMNS);
        let twice = select_names(&|name| count(name) > 1, &READ_COLUMNS);
        if !missing.is_empty() || !twice.is_empty() {
            let unexpected = select_names(&|name| !CSV_HEADER.contains(&name), &present);
            let unexpected = unexpected.iter().take(60).map(|name| name.chars().take(60).collect()).collect();
            return Err(SourceError::Columns { missing, unexpected, twice });
        }
        let index = |name: &str| header.iter().position(|other| other == name).unwrap_or(usize::MAX);
        Ok(Self(READ_COLUMNS.map(index)))
    }

    pub(super) fn position(&self, column: CsvColumn) -> usize {
        self.0[column as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_that_is_read_is_in_the_header() {
        assert!(READ_COLUMNS.iter().all(|name| CSV_HEADER.contains(name)));
        assert_eq!(CsvColumn::Description.name(), "Description");
        assert_eq!(CsvColumn::AwardAmount.name(), "Award$");
        assert_eq!(CsvColumn::NaicsCode.name(), "NaicsCode");
    }

    #[test]
    fn contact_columns_are_not_read() {
        assert!(READ_COLUMNS.iter().all(|name| !name.contains("Contact")));
    }
}
