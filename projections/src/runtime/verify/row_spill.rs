//! The rows of a scan in temporary files, one file for each pass of a comparison.

use std::{io, vec};

use super::{
    VerifyError,
    spill_file::{SpillReader, SpillWriter, run_blocking},
    verify_plan::PassIndex,
};
use crate::runtime::{ReadModelRow, RowScope, ScannedRow, VerifyScope};

/// Rows that are read from a file at once.
const BATCH_ROWS: usize = 10_000;

/// A row in a file: its bucket, which totals have not, the index of its table, its key and its content.
type SpilledRow<'a> = (Option<u32>, usize, std::borrow::Cow<'a, str>, u64);

/// The rows of all passes.
pub(super) struct RowSpill {
    passes: PassIndex,
    files: Vec<SpillWriter>,
    /// The tables of the rows.
    tables: Vec<&'static str>,
}

impl RowSpill {
    /// Creates the files.
    pub(super) fn create(passes: &[Vec<VerifyScope>]) -> Result<Self, VerifyError> {
        let files: io::Result<Vec<_>> = passes.iter().map(|_| SpillWriter::create()).collect();
        Ok(Self { passes: PassIndex::new(passes), files: files.map_err(VerifyError::TemporaryFile)?, tables: vec![] })
    }

    /// Writes rows, on a thread that may block.
    pub(super) async fn write_rows(mut self, rows: Vec<ScannedRow>) -> Result<Self, VerifyError> {
        run_blocking(move || {
            for row in &rows {
                self.write_row(row)?;
            }
            Ok(self)
        })
        .await
    }

    fn write_row(&mut self, ScannedRow { scope, row }: &ScannedRow) -> io::Result<()> {
        let pass = self.passes.find(*scope);
        let Some(file) = pass.and_then(|pass| self.files.get_mut(pass)) else { return Ok(()) };
        let table = self.tables.iter().position(|table| *table == row.table).unwrap_or_else(|| {
            self.tables.push(row.table);
            self.tables.len() - 1
        });
        let bucket = match scope {
            RowScope::Bucket(bucket) => Some(*bucket),
            RowScope::Totals => None,
        };
        let spilled: SpilledRow<'_> = (bucket, table, row.key.as_str().into(), row.content);
        file.write_value(&spilled)
    }

    /// Ends writing. Returns the rows of each pass.
    pub(super) async fn finish(self) -> Result<vec::IntoIter<SpilledRows>, VerifyError> {
        let Self { files, tables, .. } = self;
        let finish = move |file: SpillWriter| Ok(SpilledRows { file: file.finish()?, tables: tables.clone() });
        let files: Vec<_> = run_blocking(move || files.into_iter().map(finish).collect()).await?;
        Ok(files.into_iter())
    }
}

/// The rows of one pass.
pub(super) struct SpilledRows {
    file: SpillReader,
    tables: Vec<&'static str>,
}

impl SpilledRows {
    /// The next rows; empty at the end.
    pub(super) async fn read_rows(mut self) -> Result<(Self, Vec<ScannedRow>), VerifyError> {
        run_blocking(move || {
            let mut rows = vec![];
            while rows.len() < BATCH_ROWS
                && let Some((bucket, table, key, content)) = self.file.read_value::<SpilledRow<'static>>()?
            {
                let Some(table) = self.tables.get(table).copied() else {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a row of an unknown table"));
                };
                let row = ReadModelRow { table, key: key.into_owned(), content };
                rows.push(ScannedRow { scope: bucket.map_or(RowScope::Totals, RowScope::Bucket), row });
            }
            Ok((self, rows))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_pass_gets_its_rows() {
        let passes = [vec![VerifyScope::Buckets(0..=99), VerifyScope::Totals], vec![VerifyScope::Buckets(200..=255)]];
        let row = |number: u64| {
            let (table, key) =
                (if number.is_multiple_of(2) { "views" } else { "visits" }, format!("097:\"{number}\"\n"));
            let scope = if number.is_multiple_of(7) { RowScope::Totals } else { RowScope::of_stream(&key) };
            ScannedRow { scope, row: ReadModelRow::new(table, key, number) }
        };
        let rows: Vec<_> = (0..2_000).map(row).collect();
        let mut spill = RowSpill::create(&passes).unwrap();
        for part in rows.chunks(700) {
            spill = spill.write_rows(part.to_vec()).await.unwrap();
        }
        for (spilled, scopes) in spill.finish().await.unwrap().zip(&passes) {
            let is_of_pass = |row: &&ScannedRow| scopes.iter().any(|scope| scope.contains_row(row.scope));
            let expected: Vec<_> = rows.iter().filter(is_of_pass).cloned().collect();
            assert!(expected.len() > 300);
            let (rest, found) = spilled.read_rows().await.unwrap();
            assert_eq!(found, expected);
            assert_eq!(rest.read_rows().await.unwrap().1, vec![]);
        }
    }
}
