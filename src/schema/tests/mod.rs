//! What a checker says of a line, whatever its system.

#![expect(clippy::unwrap_used, reason = "a test")]

mod samples;
mod shapes;

use super::*;
use crate::{
    config,
    scan::Invalid,
    schema::{EventForm, JsonEvent},
};
use config::Schema::{Auto, Generic, Raw};

fn type_of(line: &str) -> Option<String> {
    let mut types = Checker::new(Generic, Needs::Type);
    let mut members = Checker::new(Auto, Needs::Members);
    let event_type = types.check(line.as_bytes()).unwrap().event_type.map(str::to_owned);
    assert_eq!(members.check(line.as_bytes()).unwrap().event_type, event_type.as_deref(), "{line}");
    event_type
}

#[test]
fn the_event_type_is_the_first_by_preference_that_is_a_string() {
    assert_eq!(
        type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":"b","type":"a"}"#).unwrap(),
        "a"
    );
    assert_eq!(
        type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":"b","type":1}"#).unwrap(),
        "b"
    );
    assert_eq!(type_of(r#"{"name":"f","event":"e","action":"d","eventType":"c","event_type":null}"#).unwrap(), "c");
    assert_eq!(type_of(r#"{"name":"f","event":"e","action":"d","eventType":["x"]}"#).unwrap(), "d");
    assert_eq!(type_of(r#"{"name":"f","event":"e","action":{"type":"x"}}"#).unwrap(), "e");
    assert_eq!(type_of(r#"{"name":"f","event":true}"#).unwrap(), "f");
    assert_eq!(type_of(r#"{"Type":"x","kind":"y"}"#), None);
}

#[test]
fn only_the_outermost_object_has_the_type_and_other_values_have_none() {
    assert_eq!(type_of(r#"{"actor":{"type":"user"},"list":[{"type":"x"}],"text":"\"type\":\"fake\""}"#), None);
    for line in ["42", "\"type\"", "null", r#"[{"type":"x"}]"#, r#"[["type","x"]]"#] {
        assert_eq!(type_of(line), None, "{line}");
    }
}

#[test]
fn disguised_and_repeated_names_are_seen_as_serde_json_sees_them() {
    assert_eq!(type_of(r#"{"t\u0079pe":"login"}"#).unwrap(), "login");
    assert_eq!(type_of(r#"{"type":"log\u0069n\n"}"#).unwrap(), "login\n");
    assert_eq!(type_of(r#"{"type":"first","type":"last"}"#).unwrap(), "last");
    assert_eq!(type_of(r#"{"type":"first","t\u0079pe":"last"}"#).unwrap(), "last");
    assert_eq!(type_of(r#"{"type":"first","name":"n","type":7}"#).unwrap(), "n");
}

#[test]
fn many_members_hide_no_type() {
    let many: Vec<String> = (0..1000).map(|n| format!("\"m{n}\":{n}")).collect();
    assert_eq!(type_of(&format!("{{{},\"type\":\"last\"}}", many.join(","))).unwrap(), "last");
}

#[test]
fn raw_lines_are_taken_as_they_are_and_others_must_be_json() {
    let line = b"not json \xff\0";
    let mut raw = Checker::new(Raw, Needs::Members);
    assert_eq!(raw.check(line).unwrap().line, line);
    for needs in [Needs::Validity, Needs::Type, Needs::Members] {
        assert_eq!(Checker::new(Auto, needs).check(line).unwrap_err(), Invalid::Utf8 { at: 9 });
        let cut = Checker::new(Auto, needs).check(b"{\"a\":1").unwrap_err();
        assert_eq!(cut.reason(), "invalid_json");
    }
}

#[test]
fn a_repeated_name_is_counted_where_it_was_looked_for() {
    let line = br#"{"type":"x","a":1,"type":"y","a":2,"b":{"a":1,"a":2}}"#;
    for (needs, count) in [(Needs::Validity, 0), (Needs::Type, 1), (Needs::Members, 2)] {
        let mut checker = Checker::new(Generic, needs);
        assert_eq!(checker.check(line).unwrap().repeated_names(), count, "{needs:?}");
    }
}

#[test]
fn a_checker_remembers_nothing_of_the_line_before() {
    let mut checker = Checker::new(Generic, Needs::Members);
    assert_eq!(checker.check(br#"{"type":"x","a":1,"a":2}"#).unwrap().event_type, Some("x"));
    checker.check(br#"{"type":"y","#).unwrap_err();
    let event = checker.check(br#"{"b":1}"#).unwrap();
    assert_eq!(event.event_type, None);
    let EventForm::Json(JsonEvent { fields: Some(fields), .. }) = event.form else { panic!("checked with members") };
    assert_eq!((fields.members().unwrap().len(), fields.repeated()), (1, 0));
}
