#![expect(clippy::unwrap_used, reason = "a test")]

use super::*;
use crate::forwarder::stats::FilteredCounts;
use crate::{
    config::{Asked, ConditionRule as Written, EventTypes, Pattern, Schema},
    schema::{Checker, EventForm, FieldSet},
};

const EVENT: &str = r#"{"type":"login","outcome":"ok","actor":{"id":"u-1","email":"ada@acme.example"},"target":{"type":"app","id":"a-1"},"method":"POST","n":7,"none":null,"empty":"","deep":{"er":[1,2]}}"#;

fn types(names: &[&str]) -> EventTypes {
    EventTypes::These(names.iter().map(|name| (*name).to_owned()).collect())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn filter(enabled: EventTypes, disabled: &[&str]) -> EventFilter {
    EventFilter::new(&config::FilterRules { enabled, disabled: types(disabled), ..Default::default() })
}

/// The verdict on a line, checked for no more than the filter needs.
fn verdict_of(filter: &mut EventFilter, schema: Schema, line: &str) -> FilterVerdict {
    let mut checker = Checker::with(schema, &[], filter.needs(), filter.pointers());
    filter.verdict(&checker.check(line.as_bytes()).unwrap())
}

/// The verdict on an event of this type, whatever made it.
fn verdict(filter: &mut EventFilter, event_type: Option<&str>) -> FilterVerdict {
    filter.verdict(&Event { line: b"", event_type, form: EventForm::Raw, facts: None })
}

fn about(asked: &str) -> Written {
    let asked = Field::parse(asked).map_or_else(|| Asked::Pointer(asked.to_owned()), Asked::Field);
    Written { asked, is_in: None, not_in: Vec::new(), matches: None, exists: None }
}

/// Whether the event passes a filter of these conditions, or the number of the first that does not hold.
fn holds(conditions: &[Written]) -> Result<(), u16> {
    let mut filter = EventFilter::new(&config::FilterRules { conditions: conditions.to_vec(), ..Default::default() });
    match verdict_of(&mut filter, Schema::Generic, EVENT) {
        FilterVerdict::Pass => Ok(()),
        FilterVerdict::Dropped(FilterRule::Where(number)) => Err(number),
        FilterVerdict::Dropped(rule) => panic!("{rule}"),
    }
}

#[test]
fn all_passes_events_of_any_type_and_of_none() {
    let mut filter = filter(EventTypes::All, &[]);
    assert_eq!(filter.needs(), Needs::Validity);
    for event_type in [Some("x"), Some(""), None] {
        assert_eq!(verdict(&mut filter, event_type), FilterVerdict::Pass);
    }
}

#[test]
fn a_list_passes_its_types_alone_and_nothing_without_a_type() {
    let mut filter = filter(types(&["login", "logout"]), &[]);
    assert_eq!(filter.needs(), Needs::Type);
    assert_eq!(verdict(&mut filter, Some("login")), FilterVerdict::Pass);
    assert_eq!(verdict(&mut filter, Some("logout")), FilterVerdict::Pass);
    for other in ["Login", "logi", "logins", "", "LOGIN"] {
        assert_eq!(verdict(&mut filter, Some(other)), FilterVerdict::Dropped(FilterRule::NotEnabled), "{other}");
    }
    assert_eq!(verdict(&mut filter, None), FilterVerdict::Dropped(FilterRule::NoType));
}

#[test]
fn disabled_types_are_dropped_from_all_and_from_a_list() {
    for enabled in [EventTypes::All, types(&["login", "node_attestation"])] {
        let mut filter = filter(enabled, &["node_attestation"]);
        assert_eq!(filter.needs(), Needs::Type);
        assert_eq!(verdict(&mut filter, Some("node_attestation")), FilterVerdict::Dropped(FilterRule::Disabled));
        assert_eq!(verdict(&mut filter, Some("login")), FilterVerdict::Pass);
    }
    assert_eq!(verdict(&mut filter(EventTypes::All, &["x"]), None), FilterVerdict::Pass);
}

#[test]
fn both_spellings_of_a_type_are_one_in_rules_and_in_events() {
    for rule in ["EVENT_TYPE_NODE_ATTESTATION", "node_attestation"] {
        let mut filter = filter(types(&[rule, "other"]), &[]);
        for event_type in ["EVENT_TYPE_NODE_ATTESTATION", "node_attestation"] {
            assert_eq!(verdict(&mut filter, Some(event_type)), FilterVerdict::Pass, "{rule} {event_type}");
            let line = format!(r#"{{"id":"ae-1","occurredAt":"x","type":"{event_type}"}}"#);
            for schema in [Schema::Auto, Schema::Connect, Schema::Generic] {
                assert_eq!(verdict_of(&mut filter, schema, &line), FilterVerdict::Pass, "{rule} {line} {schema:?}");
            }
        }
        for other in ["NODE_ATTESTATION", "EVENT_TYPE_NODE", "event_type_node_attestation"] {
            assert_eq!(
                verdict(&mut filter, Some(other)),
                FilterVerdict::Dropped(FilterRule::NotEnabled),
                "{rule} {other}"
            );
        }
    }
}

#[test]
fn all_disabled_and_none_enabled_are_fixed_verdicts() {
    let mut none = filter(types(&[]), &[]);
    assert_eq!(verdict(&mut none, Some("x")), FilterVerdict::Dropped(FilterRule::NotEnabled));
    assert_eq!(none.needs(), Needs::Validity);
    let mut nothing = EventFilter::new(&config::FilterRules { disabled: EventTypes::All, ..Default::default() });
    assert_eq!(verdict(&mut nothing, None), FilterVerdict::Dropped(FilterRule::Disabled));
    assert_eq!(nothing.needs(), Needs::Validity);
}

#[test]
fn every_word_for_a_type_is_known_to_both_lists() {
    let flag = r#"{"id":"1","model":"feature_flag","action":"Set to $True","entityId":"e","createdAt":"t"}"#;
    let authz =
        r#"{"cef_version":"0","event_class_id":"servicehub","name":"Authz.control-planes/1c02","granted":true}"#;
    let token =
        "x konghq.com CEF:0|KongInc|Konnect|1.0|AUTHENTICATION_TYPE_PAT|AUTHENTICATION_OUTCOME_SUCCESS|0|rt=1";
    let secret = r#"{"auditID":"a","stage":"s","verb":"get","objectRef":{"resource":"secrets"}}"#;
    let vault = r#"{"type":"response","request":{"operation":"update","path":"p"}}"#;
    for (line, words) in [
        (flag, &["feature_flag.Set to $True", "Set to $True"][..]),
        (authz, &["Authz.control-planes/1c02", "Authz.control-planes", "authz", "servicehub"]),
        (token, &["AUTHENTICATION_OUTCOME_SUCCESS", "authn", "AUTHENTICATION_TYPE_PAT"]),
        (secret, &["secrets.get", "get"]),
        (vault, &["response.update", "response", "update"]),
    ] {
        for word in words {
            let mut only = filter(types(&[word]), &[]);
            assert_eq!(verdict_of(&mut only, Schema::Auto, line), FilterVerdict::Pass, "{word} of {line}");
            let mut without = filter(EventTypes::All, &[word]);
            let dropped = FilterVerdict::Dropped(FilterRule::Disabled);
            assert_eq!(verdict_of(&mut without, Schema::Auto, line), dropped, "{word} of {line}");
        }
        let mut other = filter(types(&["feature_flag", "Authz", "access", "secrets", "read"]), &[]);
        assert_eq!(
            verdict_of(&mut other, Schema::Auto, line),
            FilterVerdict::Dropped(FilterRule::NotEnabled),
            "{line}"
        );
    }
}

#[test]
fn outcomes_actors_and_targets_match_exactly_and_any_of_their_words() {
    let only = |outcomes: &[&str], actors: &[&str], targets: &[&str]| {
        let [outcomes, actors, targets] = [outcomes, actors, targets].map(owned);
        let mut filter = EventFilter::new(&config::FilterRules { outcomes, actors, targets, ..Default::default() });
        verdict_of(&mut filter, Schema::Generic, EVENT)
    };
    for (outcome, actor, target) in [("ok", "u-1", "app"), ("ok", "ada@acme.example", "a-1")] {
        assert_eq!(only(&["x", outcome], &[actor], &[target]), FilterVerdict::Pass);
        assert_eq!(only(&["x"], &[actor], &[target]), FilterVerdict::Dropped(FilterRule::Outcome));
        assert_eq!(only(&[outcome], &["u-", "U-1"], &[target]), FilterVerdict::Dropped(FilterRule::Actor));
        assert_eq!(only(&[outcome], &[actor], &["a-11"]), FilterVerdict::Dropped(FilterRule::Target));
    }
    let mut raw = EventFilter::new(&config::FilterRules { outcomes: owned(&["ok"]), ..Default::default() });
    assert_eq!(verdict_of(&mut raw, Schema::Raw, EVENT), FilterVerdict::Dropped(FilterRule::Outcome));
}

#[test]
fn a_denied_event_is_denied_whatever_its_system_calls_it() {
    let config = config::FilterRules { outcomes: owned(&["denied"]), ..Default::default() };
    let mut filter = EventFilter::new(&config);
    assert_eq!(filter.needs(), Needs::Fields(FieldSet::EMPTY.with(Field::Outcome)));
    for line in [
        r#"{"id":"ae-1","occurredAt":"t","type":"EVENT_TYPE_X","outcome":"OUTCOME_DENIED"}"#,
        r#"{"event":{"cef_version":"0","event_class_id":"c","name":"Authz.x","granted":"false"}}"#,
        "CEF:0|KongInc|Konnect|1.0|c|Authz.x|6|rt=1 granted=false user_agent=granted=true",
        r#"{"auditID":"a","stage":"s","verb":"get","responseStatus":{"code":401}}"#,
    ] {
        assert_eq!(verdict_of(&mut filter, Schema::Auto, line), FilterVerdict::Pass, "{line}");
        let allowed = line.replace("DENIED", "SUCCESS").replace("false", "true").replace("401", "200");
        assert_eq!(
            verdict_of(&mut filter, Schema::Auto, &allowed),
            FilterVerdict::Dropped(FilterRule::Outcome),
            "{allowed}"
        );
    }
}

#[test]
fn conditions_say_what_a_place_must_be() {
    let is_in = |asked, words: &[&str]| Written { is_in: Some(owned(words)), ..about(asked) };
    let not_in = |asked, words: &[&str]| Written { not_in: owned(words), ..about(asked) };
    let matches =
        |asked, pattern| Written { matches: Some(Pattern(regex_lite::Regex::new(pattern).unwrap())), ..about(asked) };
    let exists = |asked, exists| Written { exists: Some(exists), ..about(asked) };
    for good in [
        is_in("request.method", &["PUT", "POST"]),
        is_in("/method", &["POST"]),
        is_in("/n", &["7"]),
        is_in("/deep/er", &["[1,2]"]),
        is_in("type", &["login"]),
        not_in("request.method", &["GET"]),
        not_in("request.path", &["/x"]),
        matches("actor.email", "@acme[.]example$"),
        matches("/n", "^[0-9]+$"),
        exists("/n", true),
        exists("/none", false),
        exists("/nothing/here", false),
        exists("request.path", false),
        exists("/deep/er", true),
        exists("/empty", true),
    ] {
        assert_eq!(holds(std::slice::from_ref(&good)), Ok(()), "{good:?}");
        assert_eq!(holds(&[good.clone(), exists("/absent", true)]), Err(1), "all must hold");
    }
    for bad in [
        is_in("request.method", &["post", "POS"]),
        is_in("request.path", &["", "null"]),
        is_in("/none", &["null"]),
        not_in("/method", &["x", "POST"]),
        matches("actor.email", "^acme"),
        matches("request.path", ".*"),
        exists("/n", false),
        exists("/none", true),
        exists("request.path", true),
        Written { exists: Some(true), ..is_in("/n", &["8"]) },
    ] {
        assert_eq!(holds(std::slice::from_ref(&bad)), Err(0), "{bad:?}");
        assert_eq!(holds(&[exists("/n", true), bad]), Err(1));
    }
}

#[test]
fn a_filter_asks_for_no_more_than_its_rules_look_at() {
    let conditions = vec![about("request.method"), about("/a/b"), about("/c")];
    let config = config::FilterRules { conditions, actors: owned(&["x"]), ..Default::default() };
    let filter = EventFilter::new(&config);
    let fields = [Field::ActorId, Field::ActorName, Field::ActorEmail, Field::RequestMethod];
    assert_eq!(filter.needs(), Needs::Fields(fields.into_iter().collect()));
    assert_eq!(filter.pointers(), ["/a/b", "/c"]);
    let only_pointers = config::FilterRules { conditions: vec![about("/c")], ..Default::default() };
    assert_eq!(EventFilter::new(&only_pointers).needs(), Needs::Type);
}

#[test]
fn what_is_dropped_is_counted_by_rule() {
    let mut dropped = FilteredCounts::default();
    for (rule, events) in [(FilterRule::Where(1), 2), (FilterRule::Disabled, 1), (FilterRule::Where(1), 3)] {
        dropped.add(rule, events);
    }
    let mut sum = dropped.clone();
    sum.enter(&dropped);
    assert_eq!((dropped.total(), sum.total()), (6, 12));
    let by_name: Vec<(String, u64)> = sum.iter().map(|(rule, events)| (rule.name().into_owned(), events)).collect();
    assert_eq!(by_name, [("where[1]".to_owned(), 10), ("disabledEvents".to_owned(), 2)]);
}
