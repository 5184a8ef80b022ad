use super::*;

fn throughput(name: &str, values: &[(f64, f64)]) -> BenchMeasure {
    let repetitions =
        values.iter().map(|&(value, raw)| MeasureRepetition { raw: Some(raw), ..MeasureRepetition::from_value(value) });
    BenchMeasure::new(name, MeasureUnit::EventsPerSecond, repetitions.collect()).with_raw_limit("a plain client")
}

fn latency(name: &str, p99_ms: &[f64]) -> BenchMeasure {
    let repetitions = p99_ms.iter().map(|&p99_ms| MeasureRepetition {
        latency: Some(LatencyPercentiles { p50_ms: p99_ms / 2.0, p99_ms }),
        ..MeasureRepetition::from_value(p99_ms)
    });
    BenchMeasure::new(name, MeasureUnit::Milliseconds, repetitions.collect())
}

fn report(measures: Vec<BenchMeasure>) -> BenchRunReport {
    let mut report = BenchRunReport {
        schema_version: REPORT_SCHEMA_VERSION,
        started_at: DateTime::from_timestamp(1_780_000_000, 0).unwrap(),
        seconds: 12.5,
        complete: true,
        scale: "default".to_owned(),
        machine: MachineDescription {
            cores: 2,
            processor: "A <small> processor".to_owned(),
            memory_mib: 24_000,
            kernel: "linux 6.1".to_owned(),
            load_at_start: Some(0.2),
        },
        build: BuildDescription {
            version: "0.1.0".to_owned(),
            commit: Some("abcdef123456".to_owned()),
            profile: "release".to_owned(),
            opt_level: "3".to_owned(),
        },
        engines: BTreeMap::from([("Postgres".to_owned(), "15.18".to_owned())]),
        settings: BTreeMap::new(),
        failures: BTreeMap::new(),
        measures: vec![],
    };
    report.add_measures(measures);
    report
}

fn verdicts(old: Vec<BenchMeasure>, new: Vec<BenchMeasure>) -> Vec<(MeasuredFigure, ComparisonVerdict)> {
    let comparison = ReportComparison::compare(&report(old), &report(new), 0.1, false).unwrap();
    comparison.figures.iter().map(|row| (row.figure, row.verdict)).collect()
}

#[test]
fn a_measure_has_the_medians_of_its_repetitions() {
    let measure = throughput("relay/publish", &[(50.0, 100.0), (90.0, 100.0), (60.0, 80.0)]);
    assert_eq!((measure.value, measure.ratio), (60.0, Some(0.75)));
    assert_eq!(measure.raw, Some(RawLimit { description: "a plain client".to_owned(), value: 100.0 }));

    // For a time the share of the limit is the other quotient: half of the limit's speed is 0.5.
    let repetition = MeasureRepetition { raw: Some(2.0), ..MeasureRepetition::from_value(4.0) };
    let measure = BenchMeasure::new("api/list", MeasureUnit::Milliseconds, vec![repetition]);
    assert_eq!(measure.ratio, Some(0.5));
}

#[test]
fn repetitions_of_one_name_are_merged() {
    let runs = [
        throughput("rebuild/views", &[(10.0, 100.0)]),
        latency("latency/views", &[5.0]),
        throughput("rebuild/views", &[(30.0, 100.0)]),
        throughput("rebuild/views", &[(20.0, 100.0)]),
    ];
    let merged = BenchMeasure::merge_repetitions(runs);
    let names: Vec<_> = merged.iter().map(|measure| measure.name.as_str()).collect();
    assert_eq!(names, ["rebuild/views", "latency/views"]);
    assert_eq!((merged[0].value, merged[0].ratio), (20.0, Some(0.2)));
    assert_eq!(merged[0].raw.as_ref().unwrap().description, "a plain client");
    let range = merged[0].figure(MeasuredFigure::Value).unwrap();
    assert_eq!((range.lowest, range.highest, range.count), (10.0, 30.0, 3));
}

#[test]
fn a_report_is_the_same_after_writing_and_reading() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let infinite = MeasureRepetition::from_value(f64::INFINITY);
    let mut written = report(vec![
        throughput("relay/publish", &[(50.0, 100.0)]).with_setting("events", 1_000),
        latency("latency/views", &[20.0, 40.0]),
        BenchMeasure::new("memory", MeasureUnit::Mebibytes, vec![infinite]),
    ]);
    written.failures.insert("append".to_owned(), "no pgbench".to_owned());
    written.write_file(&file).unwrap();
    assert_eq!(BenchRunReport::read_file(&file).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(json["measures"][0]["asked"][0]["figure"], "ratio");
    assert_eq!(json["measures"][0]["unit"], "events/s");
    assert_eq!(json["measures"][2]["value"], 0.0, "JSON has no infinity");
}

#[test]
fn files_that_are_no_report_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let mut future: serde_json::Value = serde_json::to_value(report(vec![])).unwrap();
    future["schema_version"] = (REPORT_SCHEMA_VERSION + 1).into();
    for (text, expected) in
        [("{}", "missing field `schema_version`"), ("", "EOF"), (&*future.to_string(), "this program reads version")]
    {
        fs::write(&file, text).unwrap();
        let error = format!("{:#}", BenchRunReport::read_file(&file).unwrap_err());
        assert!(error.contains("report.json") && error.contains(expected), "{error}");
    }
    assert!(BenchRunReport::read_file(folder.path()).is_err());
}

#[test]
fn ratios_are_compared_where_there_are_raw_limits() {
    use ComparisonVerdict::{Better, Loss, Missing, New, Same, Worse};
    // The machine has half the speed, the ratio is the same.
    let old = throughput("rebuild/unasked", &[(80.0, 100.0)]);
    assert_eq!(
        verdicts(vec![old.clone()], vec![throughput("rebuild/unasked", &[(40.0, 50.0)])]),
        [(MeasuredFigure::Ratio, Same)]
    );
    let judge = |value: f64| verdicts(vec![old.clone()], vec![throughput("rebuild/unasked", &[(value, 100.0)])])[0].1;
    assert_eq!((judge(73.0), judge(71.0), judge(89.0)), (Same, Loss, Better));

    // Two repetitions have a spread.
    let old = throughput("rebuild/unasked", &[(80.0, 100.0), (82.0, 100.0), (81.0, 100.0)]);
    let judge = |values: [f64; 3]| {
        let new = throughput("rebuild/unasked", &values.map(|value| (value, 100.0)));
        verdicts(vec![old.clone()], vec![new])[0].1
    };
    assert_eq!(judge([79.0, 81.5, 83.0]), Same);
    assert_eq!(judge([76.0, 77.0, 78.0]), Worse);
    assert_eq!(judge([60.0, 61.0, 81.5]), Loss, "one good repetition hides no loss");
    assert_eq!(judge([85.0, 86.0, 87.0]), Better);

    assert_eq!(verdicts(vec![old.clone()], vec![]), [(MeasuredFigure::Ratio, Missing)]);
    assert_eq!(verdicts(vec![], vec![old]), [(MeasuredFigure::Ratio, New)]);
}

#[test]
fn asked_latencies_are_compared_beside_the_value() {
    use ComparisonVerdict::{Better, Loss};
    assert_eq!(
        verdicts(vec![latency("latency/views", &[20.0])], vec![latency("latency/views", &[40.0])]),
        [(MeasuredFigure::Value, Loss), (MeasuredFigure::P99, Loss)]
    );
    assert_eq!(
        verdicts(vec![latency("latency/views", &[40.0])], vec![latency("latency/views", &[20.0])]),
        [(MeasuredFigure::Value, Better), (MeasuredFigure::P99, Better)]
    );
}

#[test]
fn a_load_that_was_zero_is_a_loss() {
    use ComparisonVerdict::{Better, Loss, Same};
    let idle = |value: f64| {
        let repetitions = vec![MeasureRepetition::from_value(value); 3];
        vec![BenchMeasure::new("idle/service", MeasureUnit::Cores, repetitions)]
    };
    assert_eq!(verdicts(idle(0.0), idle(0.2)), [(MeasuredFigure::Value, Loss)]);
    assert_eq!(verdicts(idle(0.0), idle(0.0)), [(MeasuredFigure::Value, Same)]);
    assert_eq!(verdicts(idle(0.2), idle(0.0)), [(MeasuredFigure::Value, Better)]);
}

#[test]
fn reports_of_other_machines_or_builds_are_compared_only_by_force() {
    let old = report(vec![throughput("relay/publish", &[(80.0, 100.0)])]);
    let mut machine = old.clone();
    machine.machine.cores = 4;
    let mut build = old.clone();
    build.build.profile = "dev".to_owned();
    let mut scale = old.clone();
    scale.scale = "quick".to_owned();
    for (new, reason) in [(machine, "4 cores"), (build, "dev"), (scale, "quick")] {
        let error = ReportComparison::compare(&old, &new, 0.1, false).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("--force"), "{error}");
        assert!(!ReportComparison::compare(&old, &new, 0.1, true).unwrap().has_loss());
    }
}

#[test]
fn the_table_shows_every_figure_and_the_number_of_losses() {
    let old = report(vec![throughput("relay/publish", &[(80.0, 100.0)]), latency("latency/views", &[20.0])]);
    let new = report(vec![throughput("relay/publish", &[(40.0, 100.0)]), latency("latency/views", &[20.5])]);
    let comparison = ReportComparison::compare(&old, &new, 0.1, false).unwrap();
    let table = comparison.format_table();
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(comparison.has_loss());
    assert_eq!(lines[1], "relay/publish ratio 0.80 0.40 -50.0% LOSS");
    assert_eq!(lines[2], "latency/views (ms) value 20.0 20.5 -2.5% same");
    assert_eq!(lines[3], "latency/views (ms) p99 20.0 20.5 -2.5% same");
    assert!(lines[4].starts_with("3 figures, 1 lost or worse by more than 10.0%"), "{table}");
}

#[test]
fn the_picture_shows_every_measure_and_what_is_asked() {
    let mut drawn = report(vec![
        throughput("relay/publish", &[(80.0, 100.0), (97.0, 100.0)]),
        latency("latency/views", &[20.0]),
        BenchMeasure::new("memory", MeasureUnit::Mebibytes, vec![MeasureRepetition::from_value(120.0)]),
    ]);
    drawn.failures.insert("append".to_owned(), "a & b\u{1}".to_owned());
    let picture = render_report_picture(&drawn);
    for text in ["relay/publish", "asked 0.95", "20.0 ms", "asked 30.0", "memory: 120 MiB", "a &amp; b "] {
        assert!(picture.contains(text), "{text} is not in {picture}");
    }
    assert!(picture.contains("A &lt;small&gt; processor") && !picture.contains("DEVELOPMENT"), "{picture}");
    let (opened, closed) = (picture.matches('<').count(), picture.matches('>').count());
    assert_eq!(opened, closed, "{picture}");

    drawn.build.profile = "dev".to_owned();
    drawn.complete = false;
    let picture = render_report_picture(&drawn);
    assert!(picture.contains("DEVELOPMENT BUILD") && picture.contains("INCOMPLETE"), "{picture}");
}
