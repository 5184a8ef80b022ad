//! Events of every form, to test with.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use cqrs_es::DomainEvent;
use domain::opportunity::{
    Agency, Award, Cents, Facts, Filing, Naics, NoticeId, NoticeSource, NoticeType, OpportunityEvent, Place, SetAside,
    Standing,
};
use proptest::{option::of, prelude::*};
use serde::de::DeserializeOwned;

use crate::catalog::{EventSchema, find};

/// The schema that an event is recorded with.
pub(crate) fn schema_of(event: &OpportunityEvent) -> &'static EventSchema {
    find(&event.event_type(), &event.event_version()).expect("a schema of the event's version")
}

/// Any event of an opportunity. Every field is named, so that a new one does not compile until it is generated, too.
pub(crate) fn any_event() -> BoxedStrategy<OpportunityEvent> {
    prop_oneof![
        (filing(), facts()).prop_map(|(filing, facts)| OpportunityEvent::Discovered { filing, facts: facts.into() }),
        (filing(), standing(), facts()).prop_map(|(filing, standing, facts)| OpportunityEvent::Amended {
            filing,
            standing,
            facts: facts.into()
        }),
        (code::<NoticeId>(), of(time()), of(time()), of(time())).prop_map(|(notice_id, from, to, posted_at)| {
            OpportunityEvent::DeadlineChanged { notice_id, from, to, posted_at }
        }),
        (text(), award()).prop_map(|(key, award)| OpportunityEvent::Awarded { key, award }),
    ]
    .boxed()
}

/// A typical event: about twenty fields, a description, 1 KB of JSON.
pub(crate) fn typical() -> OpportunityEvent {
    let code = |text: &str| serde_json::Value::String(text.to_owned());
    OpportunityEvent::Discovered {
        filing: Filing {
            notice_id: NoticeId::try_new("f7de794d27e242e89584e27bd9e2b7aa").unwrap(),
            source: NoticeSource::SamCsv,
            posted_at: "2026-03-03T12:17:50.808Z".parse().unwrap(),
            digest: "586ce452054c52f8133c352d01ed4ab7".to_owned(),
        },
        facts: Box::new(Facts {
            title: "6530--Patient lifts, ceiling mounted".to_owned(),
            notice_type: serde_json::from_value(code("Combined Synopsis/Solicitation")).unwrap(),
            agency: Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF").unwrap(),
            solicitation_number: Some("36C10G26R0005".to_owned()),
            base_type: Some(serde_json::from_value(code("Presolicitation")).unwrap()),
            sub_tier: Some("VETERANS AFFAIRS, DEPARTMENT OF".to_owned()),
            office: Some("NETWORK CONTRACT OFFICE 10 (36C250)".to_owned()),
            set_aside: Some(SetAside::try_new("SDVOSBC").unwrap()),
            naics: Some(Naics::try_new("339113").unwrap()),
            psc: Some("6530".to_owned()),
            response_deadline: Some("2026-03-20T17:00:00Z".parse().unwrap()),
            archive_on: NaiveDate::from_ymd_opt(2026, 4, 19),
            active: Some(true),
            place: Some(Place {
                city: Some("Dayton".to_owned()),
                state: Some("OH".to_owned()),
                zip: Some("45428".to_owned()),
                country: Some("USA".to_owned()),
            }),
            description: Some("Six ceiling mounted lifts, installed.\nSee \"Attachment 1\". ".repeat(6)),
            link: Some("https://sam.gov/opp/f7de794d27e242e89584e27bd9e2b7aa/view".to_owned()),
        }),
    }
}

fn filing() -> BoxedStrategy<Filing> {
    (code::<NoticeId>(), source(), time(), text())
        .prop_map(|(notice_id, source, posted_at, digest)| Filing { notice_id, source, posted_at, digest })
        .boxed()
}

/// Boxed, as every larger strategy: unboxed ones outgrow the stack of a test.
fn facts() -> BoxedStrategy<Facts> {
    let named = (text(), code::<NoticeType>(), (text(), text()).prop_map(|(code, name)| Agency { code, name }));
    let texts = (of(text()), of(text()), of(text()), of(text()), of(text()), of(text()));
    let codes = (of(code::<NoticeType>()), of(code::<SetAside>()), of(code::<Naics>()));
    let rest = (of(time()), of(date()), of(any::<bool>()), of(place()));
    (named, texts, codes, rest)
        .prop_map(
            |(
                (title, notice_type, agency),
                (solicitation_number, sub_tier, office, psc, description, link),
                (base_type, set_aside, naics),
                (response_deadline, archive_on, active, place),
            )| Facts {
                title,
                notice_type,
                agency,
                solicitation_number,
                base_type,
                sub_tier,
                office,
                set_aside,
                naics,
                psc,
                response_deadline,
                archive_on,
                active,
                place,
                description,
                link,
            },
        )
        .boxed()
}

fn place() -> BoxedStrategy<Place> {
    (of(text()), of(text()), of(text()), of(text()))
        .prop_map(|(city, state, zip, country)| Place { city, state, zip, country })
        .boxed()
}

fn award() -> BoxedStrategy<Award> {
    let amount = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0), -100_i64..100];
    (of(text()), of(date()), of(amount.prop_map(Cents)), of(text()))
        .prop_map(|(number, date, amount, awardee)| Award { number, date, amount, awardee })
        .boxed()
}

fn source() -> impl Strategy<Value = NoticeSource> {
    let all = [NoticeSource::SamCsv, NoticeSource::SamApi, NoticeSource::SamText, NoticeSource::Manual];
    proptest::sample::select(all.to_vec()).prop_map(|source| match source {
        // A new source does not compile until it stands in the list, too.
        known @ (NoticeSource::SamCsv | NoticeSource::SamApi | NoticeSource::SamText | NoticeSource::Manual) => known,
    })
}

fn standing() -> impl Strategy<Value = Standing> {
    proptest::sample::select(&[Standing::Current, Standing::Earlier][..]).prop_map(|standing| match standing {
        known @ (Standing::Current | Standing::Earlier) => known,
    })
}

/// Any text: unicode, quotes, control characters, nothing, and long ones.
fn text() -> BoxedStrategy<String> {
    let escapes = "[\"\\\\\n\r\t\u{8}\u{c}\u{0}-\u{1f}a-c]{0,12}";
    prop_oneof![any::<String>(), escapes, "[ -~é漢😀]{100,400}", Just(String::new())].boxed()
}

/// A code as an event may hold it: what is stored is not checked again.
fn code<T: DeserializeOwned + std::fmt::Debug>() -> impl Strategy<Value = T> {
    text().prop_map(|text| serde_json::from_value(serde_json::Value::String(text)).unwrap())
}

/// Any time with the digits that a copy holds.
fn time() -> BoxedStrategy<DateTime<Utc>> {
    let extremes = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC].map(|time| time.timestamp_micros());
    let micros = prop_oneof![
        extremes[0]..=extremes[1],
        0..2_000_000_000_000_000_i64,
        (0..2_000_000_000_i64).prop_map(|seconds| seconds * 1_000_000),
        (-2_000_000_000_000_i64..0).prop_map(|millis| millis * 1_000),
        proptest::sample::select(extremes.to_vec()),
    ];
    micros
        .prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
        .prop_filter(
            // chrono cannot read back what it writes there.
            "chrono's own limit",
            |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true).parse::<DateTime<Utc>>().is_ok(),
        )
        .boxed()
}

fn date() -> impl Strategy<Value = NaiveDate> {
    let days = prop_oneof![-96_000_000..=95_000_000_i32, 719_163..=760_000_i32];
    days.prop_filter_map("in the calendar", NaiveDate::from_num_days_from_ce_opt)
}
