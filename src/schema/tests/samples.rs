//! Every sample line, recognised, and every field that it tells.

use super::*;
use crate::scan::tests::mutate::mutate;

/// Lines as files of the systems have them, and the schema by which one would name their source.
const SAMPLES: [(&str, config::Schema, &str); 9] = [
    ("connect", config::Schema::Connect, include_str!("../../../tests/samples/connect.ndjson")),
    ("infrakitchen", config::Schema::Infrakitchen, include_str!("../../../tests/samples/infrakitchen.ndjson")),
    (
        "infrakitchen.rest",
        config::Schema::Infrakitchen,
        include_str!("../../../tests/samples/infrakitchen.rest-v0.3.ndjson"),
    ),
    ("konnect", config::Schema::Konnect, include_str!("../../../tests/samples/konnect.ndjson")),
    ("konnect.cef", config::Schema::Konnect, include_str!("../../../tests/samples/konnect.cef")),
    ("konnect.cps", config::Schema::Konnect, include_str!("../../../tests/samples/konnect.cps.ndjson")),
    ("konnect.legacy", config::Schema::Konnect, include_str!("../../../tests/samples/konnect.legacy.ndjson")),
    ("konnect.legacy.cef", config::Schema::Konnect, include_str!("../../../tests/samples/konnect.legacy.cef")),
    ("chainloop", config::Schema::Chainloop, include_str!("../../../tests/samples/chainloop.ndjson")),
];

/// What is expected of each line: its system and, one to a line, its fields.
const EXPECTED: &str = include_str!("../../../tests/golden/fields.txt");

/// A value is shown up to so many characters.
const SHOWN: usize = 100;

fn told(name: &str, number: usize, line: &str, checker: &mut Checker) -> String {
    let facts = checker.check(line.as_bytes()).unwrap().facts.unwrap();
    let mut told = format!("{name} {number}: {}\n", facts.system().name());
    let mut scratch = String::new();
    for field in Field::ALL {
        if let Some(value) = facts.get(field, &mut scratch) {
            let shown: String = value.chars().take(SHOWN).collect();
            told.push_str(&format!("  {field} = {}\n", shown.replace('\n', "\\n")));
        }
    }
    told
}

#[test]
fn every_sample_line_is_recognised_and_says_what_is_expected() {
    let mut expected = EXPECTED.trim_end().split("\n\n");
    for (name, schema, text) in SAMPLES {
        for (number, line) in text.lines().enumerate() {
            let expected = expected.next().unwrap_or_default().trim_end();
            for schema in [Auto, schema] {
                let told = told(name, number, line, &mut Checker::new(schema, Needs::Members));
                assert_eq!(told.trim_end(), expected, "as {schema:?}: {line}");
            }
        }
    }
    assert_eq!(expected.next(), None, "more is expected than there are lines");
}

#[test]
fn a_field_that_is_asked_for_alone_is_the_same_as_among_all() {
    let mut alone = String::new();
    let mut among = String::new();
    for (_, schema, text) in SAMPLES {
        for line in text.lines() {
            for schema in [Auto, schema] {
                let mut all = Checker::new(schema, Needs::Members);
                let all = all.check(line.as_bytes()).unwrap();
                let facts = all.facts.unwrap();
                for field in Field::ALL {
                    let mut one = Checker::new(schema, Needs::Fields(FieldSet::EMPTY.with(field)));
                    let one = one.check(line.as_bytes()).unwrap();
                    let expected = facts.get(field, &mut among);
                    assert_eq!(one.facts.unwrap().get(field, &mut alone), expected, "{field} of {line}");
                    assert_eq!(one.event_type, all.event_type);
                }
                let mut only_type = Checker::new(schema, Needs::Type);
                let event = only_type.check(line.as_bytes()).unwrap();
                assert_eq!(event.event_type, all.event_type);
                assert_eq!(event.event_type, facts.get(Field::Type, &mut among));
            }
        }
    }
}

#[test]
fn a_line_of_cef_says_what_its_json_says() {
    let [json, cef] = [3, 4].map(|index| SAMPLES[index].2);
    let (mut left, mut right) = (String::new(), String::new());
    assert_eq!(json.lines().count(), cef.lines().count());
    for (json, cef) in json.lines().zip(cef.lines()) {
        let (mut one, mut other) = (Checker::new(Auto, Needs::Members), Checker::new(Auto, Needs::Members));
        let one = one.check(json.as_bytes()).unwrap().facts.unwrap();
        let other = other.check(cef.as_bytes()).unwrap().facts.unwrap();
        for field in Field::ALL.into_iter().filter(|field| *field != Field::Id) {
            assert_eq!(one.get(field, &mut left), other.get(field, &mut right), "{field} of {cef}");
        }
        for place in [konnect::EVENT_TS, konnect::SEVERITY, konnect::CEF_VERSION, konnect::EVENT_PRODUCT] {
            assert_eq!(one.text(place, &mut left), other.text(place, &mut right), "{cef}");
        }
    }
}

/// The same as the fuzz target `decode`, on lines that are nearly right.
#[test]
fn damaged_samples_are_judged_alike_whatever_is_asked_of_them() {
    let lines: Vec<&str> = SAMPLES.iter().flat_map(|(_, _, text)| text.lines()).collect();
    let mut random = fastrand::Rng::with_seed(4);
    let (mut scratch, mut other) = (String::new(), String::new());
    let schemas = [Auto, Generic, config::Schema::Connect, config::Schema::Konnect, config::Schema::Chainloop];
    let mut events = 0;
    for _ in 0..3000 {
        let mut line = random.choice(&lines).unwrap().as_bytes().to_vec();
        mutate(&mut line, &mut random);
        let schema = random.choice(schemas).unwrap();
        let valid = Checker::new(schema, Needs::Validity).check(&line).is_ok();
        let mut all = Checker::new(schema, Needs::Members);
        let all = all.check(&line);
        assert_eq!(all.is_ok(), valid, "{}", line.escape_ascii());
        let Ok(event) = all else { continue };
        events += 1;
        let facts = event.facts.unwrap();
        for field in Field::ALL {
            let mut one = Checker::new(schema, Needs::Fields(FieldSet::EMPTY.with(field)));
            let one = one.check(&line).unwrap().facts.unwrap();
            assert_eq!(one.system(), facts.system());
            let (one, among) = (one.get(field, &mut scratch), facts.get(field, &mut other));
            assert_eq!(one, among, "{field} of {}", line.escape_ascii());
        }
    }
    assert!(events > 300, "{events} of the damaged lines are events");
}
