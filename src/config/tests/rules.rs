//! A forwarder's rules and a source's own fields.

use super::*;
use crate::{
    config::{Asked, Schema},
    schema::Field,
};

/// Sources of these schemas, and a forwarder that follows all of them and has `more`, from line 7 on of one source.
fn following(schemas: &[&str], more: &str) -> String {
    let source =
        |(index, schema): (usize, &&str)| format!("- {{name: s{index}, include: [/x{index}], schema: {schema}}}\n");
    let sources: String = schemas.iter().enumerate().map(source).collect();
    format!("sources:\n{sources}forwarders:\n- uri: https://siem.test/x\n  {}\n", more.replace('\n', "\n  "))
}

fn problems(schemas: &[&str], more: &str) -> Vec<String> {
    let all = complaints(&following(schemas, more));
    all.iter()
        .map(|problem| problem.split_once("forwarders[0].").map_or(problem.as_str(), |(_, rest)| rest).to_owned())
        .collect()
}

#[test]
fn types_are_checked_where_they_are_a_closed_list() {
    let newer = "one that is newer can be named in where: {field: type, in: […]}";
    assert_eq!(
        problems(&["connect"], "enabledEvents: [node_attestation, EVENT_TYPE_NODE_PRUNING, nod_deletion]"),
        [format!(
            "enabledEvents[2]: \"nod_deletion\" is no event type of connect; {newer}; did you mean \"node_deletion\"?"
        )]
    );
    assert_eq!(
        problems(&["chainloop"], "disabledEvents: [LoggedIn, loggedIn]"),
        [format!(
            "disabledEvents[1]: \"loggedIn\" is no event type of chainloop; {newer}; did you mean \"LoggedIn\"?"
        )]
    );
    assert_eq!(
        problems(&["connect", "chainloop"], "enabledEvents: [LoggedIn, node_pruning, EVENT_TYPE_node_pruning]"),
        [format!("enabledEvents[2]: \"EVENT_TYPE_node_pruning\" is no event type of connect or chainloop; {newer}")]
    );
    for open in ["auto", "generic", "infrakitchen", "konnect", "kubernetes", "vault", "raw"] {
        only(&following(&["connect", open], "enabledEvents: [nod_deletion]"));
    }
    only(&following(&["connect"], "enabledEvents: [all]"));
}

#[test]
fn outcomes_are_checked_where_they_are_a_closed_list() {
    assert_eq!(
        problems(&["connect"], "outcomes: [success, dennied]"),
        ["outcomes[1]: \"dennied\" is no outcome of these sources: denied, success; did you mean \"denied\"?"]
    );
    assert_eq!(
        problems(&["infrakitchen", "chainloop"], "outcomes: [denied]"),
        ["outcomes[0]: \"denied\" is no outcome of these sources: success"]
    );
    only(&following(&["connect", "generic"], "outcomes: [deny]"));
    only(&following(&["konnect"], "outcomes: [success, failure, denied]"));
}

#[test]
fn lists_that_let_nothing_pass_are_refused() {
    for key in ["outcomes", "actors", "targets"] {
        let what = "is empty: nothing would ever be sent; leave it out for any";
        assert_eq!(problems(&["auto"], &format!("{key}: []")), [format!("{key}: {what}")]);
        let what = "is empty: nothing is called so";
        assert_eq!(problems(&["auto"], &format!("{key}: [x, \"\"]")), [format!("{key}[1]: {what}")]);
    }
    assert_eq!(problems(&["auto"], "where: []"), ["where: is empty: leave it out"]);
}

#[test]
fn conditions_are_read_with_numbers_as_texts() {
    let more = "where:\n- {field: request.status, in: [403, 500]}\n- {field: /a~1b/c, notIn: [x], matches: \"^x$$\", exists: true}";
    let [first, second] = only(&following(&["auto"], more)).filter.conditions.try_into().expect("two conditions");
    assert_eq!(first.asked, Asked::Field(Field::RequestStatus));
    assert_eq!(first.is_in, Some(vec!["403".to_owned(), "500".to_owned()]));
    assert_eq!((first.not_in.len(), first.exists), (0, None));
    assert_eq!(second.asked, Asked::Pointer("/a~1b/c".to_owned()));
    assert_eq!((second.not_in, second.exists), (vec!["x".to_owned()], Some(true)));
    assert_eq!(second.matches.expect("a pattern").0.as_str(), "^x$");
}

#[test]
fn conditions_that_say_nothing_or_cannot_hold_are_refused() {
    for (condition, problem) in [
        ("{field: id}", "where[0]: says nothing of the field: add in, notIn, matches or exists"),
        (
            "{field: id, in: [a], exists: false}",
            "where[0].exists: is false beside in or matches: nothing would ever be sent",
        ),
        ("{field: id, in: []}", "where[0].in: is empty"),
        (
            "{field: /a~2, exists: true}",
            "where[0].field: \"/a~2\" is no JSON pointer; write such as /actor/id, with ~1 for a / in a name and ~0 for a ~",
        ),
        ("{in: [a]}", "where[0].field: is missing"),
    ] {
        assert_eq!(problems(&["auto"], &format!("where: [{condition}]")), [problem], "{condition}");
    }
    let [unknown] = problems(&["auto"], "where: [{field: request.methd, exists: true}]").try_into().expect("one");
    assert!(
        unknown.starts_with("where[0].field: \"request.methd\" is no field; fields are id, type, time"),
        "{unknown}"
    );
    assert!(unknown.ends_with("did you mean \"request.method\"?"), "{unknown}");
    let [pattern] = problems(&["auto"], "where: [{field: id, matches: \"(\"}]").try_into().expect("one");
    assert!(pattern.starts_with("where[0].matches: \"(\" is no valid regular expression: "), "{pattern}");
}

#[test]
fn a_source_says_where_its_fields_are() {
    let load = |more: &str| load(&source(more)).unwrap_or_else(|problems| panic!("{problems}")).sources.remove(0);
    let own = load("schema: generic\nfields: {id: /auditID, actor.name: /user/username}");
    let expected = [(Field::ActorName, "/user/username".to_owned()), (Field::Id, "/auditID".to_owned())];
    assert_eq!((own.schema, own.fields.as_slice()), (Schema::Generic, &expected[..]));
    assert_eq!(load("schema: generic\nfields: kubernetes").schema, Schema::Kubernetes);
    assert_eq!(load("schema: generic\nfields: vault").schema, Schema::Vault);
}

#[test]
fn fields_of_no_name_at_no_place_or_without_effect_are_refused() {
    let [only] = complaints(&source("fields: {id: /x}")).try_into().expect("one");
    assert!(
        only.ends_with("sources[0].fields: has no effect: fields are for sources with schema: generic"),
        "{only}"
    );
    let [place] = complaints(&source("schema: generic\nfields: {id: x}")).try_into().expect("one");
    assert!(place.contains("sources[0].fields.id: \"x\" is no JSON pointer"), "{place}");
    let [name] = complaints(&source("schema: generic\nfields: {actor.nme: /x}")).try_into().expect("one");
    assert!(name.contains("\"actor.nme\" is no field; fields are"), "{name}");
    assert!(name.ends_with("did you mean \"actor.name\"?"), "{name}");
    let [word] = complaints(&source("schema: generic\nfields: kubernets")).try_into().expect("one");
    assert!(word.ends_with("did you mean \"kubernetes\"?"), "{word}");
}
