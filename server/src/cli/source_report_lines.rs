//! Reports about the sources of notices, as lines of text.

use chrono::SecondsFormat;
use sam_gov::sync::SourceReport;

/// One line for each source: the last success, the lag, the quota, the last error.
pub(super) fn format_source_report(report: &SourceReport) -> String {
    let mut parts = vec![match (report.completed_at, report.lag_s) {
        (Some(at), Some(lag_s)) => {
            format!("read completely at {}, {lag_s:.0} s ago", at.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
        (None, Some(lag_s)) => format!("never read completely, tried for {lag_s:.0} s"),
        _ => "never read completely".to_owned(),
    }];
    if report.late {
        parts.push("LATE: no complete run for three intervals".to_owned());
    }
    if report.interval_s.is_none() {
        parts.push("not read at intervals".to_owned());
    }
    if let Some(quota) = &report.quota {
        parts.push(format!("{} of {} requests left today", quota.left, quota.daily));
        parts.extend(
            quota
                .refused_until
                .map(|until| format!("refused until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))),
        );
    }
    parts.extend(report.last_error.as_ref().map(|error| format!("last error: {error}")));
    format!("SAM.gov {}: {}", report.source.name(), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use sam_gov::{SyncSource, sync::QuotaReport};

    use super::*;

    #[test]
    fn a_line_says_when_it_was_read_what_is_left_and_what_went_wrong() {
        let report = SourceReport {
            source: SyncSource::Api,
            attempted_at: None,
            completed_at: Some("2026-11-29T10:00:00Z".parse().unwrap()),
            lag_s: Some(61.4),
            interval_s: Some(10.0),
            late: true,
            complete_through: None,
            quota: Some(QuotaReport { daily: 10, left: 3, refused_until: None }),
            last_error: Some("the key is not valid".to_owned()),
        };
        assert_eq!(
            format_source_report(&report),
            "SAM.gov api: read completely at 2026-11-29T10:00:00Z, 61 s ago, LATE: no complete run for three intervals, \
             3 of 10 requests left today, last error: the key is not valid"
        );
        let never = SourceReport {
            source: SyncSource::Extract,
            completed_at: None,
            lag_s: None,
            late: false,
            quota: None,
            last_error: None,
            ..report
        };
        assert_eq!(format_source_report(&never), "SAM.gov extract: never read completely");
        let tried = SourceReport { lag_s: Some(30.0), ..never };
        assert_eq!(format_source_report(&tried), "SAM.gov extract: never read completely, tried for 30 s");
    }
}
