//! Figures of a measure that are asked for and compared.

use serde::{Deserialize, Serialize};

/// A figure of a measure that is asked for or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredFigure {
    /// Share of the raw limit.
    Ratio,
    /// The value itself.
    Value,
    /// The 99th percentile of the latency, in milliseconds.
    P99,
}

impl MeasuredFigure {
    /// Returns its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Value => "value",
            Self::P99 => "p99",
        }
    }
}

/// A value that the product is to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AskedValue {
    /// The figure.
    pub figure: MeasuredFigure,
    /// The least, or for latencies the highest value.
    pub value: f64,
}

/// Median and range of a figure over the repetitions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    /// Lowest value.
    pub lowest: f64,
    /// Median; of an even number of values, the higher one of the two in the middle.
    pub median: f64,
    /// Highest value.
    pub highest: f64,
    /// Number of repetitions.
    pub count: usize,
}

impl ValueRange {
    /// Returns `None` if there are no values.
    pub fn from_values(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let median = *values.get(values.len() / 2)?;
        Some(Self { lowest: *values.first()?, median, highest: *values.last()?, count: values.len() })
    }

    /// Whether `value` is between the lowest and the highest.
    pub fn contains(&self, value: f64) -> bool {
        (self.lowest..=self.highest).contains(&value)
    }
}
