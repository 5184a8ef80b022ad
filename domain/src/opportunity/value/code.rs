//! Identifiers and codes of the notice format.

use crate::value::{is_prose, text_value};

text_value!(
    /// SAM.gov's id of a notice.
    NoticeId, "notice id", max 64,
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
    "letters, digits, hyphens and underscores"
);

text_value!(
    /// The kind of a notice, e.g. `Sources Sought`.
    NoticeType, "notice type", max 100, |c| !c.is_control(), "printable text"
);

text_value!(
    /// SAM.gov's code of a set-aside, e.g. `SDVOSBC`.
    SetAside, "set-aside", max 40,
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '),
    "letters and digits"
);

text_value!(
    /// A code of the North American Industry Classification System: six digits, or fewer for a whole sector.
    NaicsCode, "NAICS code", max 6, |c| c.is_ascii_digit(), "two to six digits"
);

text_value!(
    /// Why an agency cancelled an opportunity.
    CancellationReason, "reason", max 2_000, is_prose, "text"
);
