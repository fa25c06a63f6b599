//! What the settings of `cef` and the forms of a record do to lines of known systems.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    decoder::decode,
    golden::{encoded, records, samples},
};
use crate::{
    config::{CefConfig, Dialect, Ipv6, Mapped, MappedFrom, MappedKey, PrefixPart},
    format::CefKey,
    forwarder::encode::cef::CefEncoder,
    schema::{Checker, Field, Needs},
};

fn konnect() -> CefConfig {
    CefConfig { dialect: Dialect::Konnect, ..CefConfig::default() }
}

fn strict(record: &str) -> String {
    encoded(&CefConfig::default(), record)
}

/// A line without what depends on the bytes that Konnect signed.
fn apart_from_signature(line: &str) -> Vec<String> {
    let decoded = decode(line);
    let pairs = decoded.pairs.into_iter().filter(|(key, _)| key != "externalId" && key != "cs6");
    decoded.header.into_iter().chain(pairs.map(|(key, value)| format!("{key}={value}"))).collect()
}

#[test]
fn konnects_json_cps_and_cef_of_one_record_give_the_same_strict_line() {
    let json = records("konnect.ndjson");
    for (others, count) in [("konnect.cef", 12), ("konnect.cps.ndjson", 3)] {
        let others = records(others);
        assert_eq!(others.len(), count);
        for (json, other) in json.iter().zip(&others) {
            assert_eq!(apart_from_signature(&strict(json)), apart_from_signature(&strict(other)));
        }
    }
}

#[test]
fn konnects_cef_goes_out_byte_for_byte_in_its_own_dialect_alone() {
    for record in records("konnect.cef").iter().chain(&records("konnect.legacy.cef")) {
        assert_eq!(encoded(&konnect(), record), *record);
        assert!(strict(record).starts_with("CEF:0|"));
    }
    let broken = records("konnect.cef")[0].replace("Mozilla", "Mo\rzilla");
    assert!(!encoded(&konnect(), &broken).contains('\r'), "a reader might split it there");
}

#[test]
fn the_id_of_a_record_without_one_is_the_hash_of_what_its_signature_covers() {
    let sha256 = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for record in records("konnect.ndjson") {
        let at = record.find(",\"sig\":").unwrap();
        let signed = format!("{}}}", &record[..at]);
        assert_eq!(decode(&strict(&record)).pairs["externalId"], sha256(&signed)[..32]);
        let spaced = record.replace(",\"sig\":", " , \"sig\" : ");
        let signed = format!("{} }}", &record[..at]);
        assert_eq!(decode(&strict(&spaced)).pairs["externalId"], sha256(&signed)[..32]);
        let elsewhere = record.replacen('{', "{\"sig\":\"first\",", 1);
        assert!(decode(&strict(&elsewhere)).pairs.contains_key("externalId"));
    }
    for record in records("konnect.cef") {
        let signed = record.rsplit_once(" sig=").unwrap().0;
        assert_eq!(decode(&strict(&record)).pairs["externalId"], sha256(signed)[..32]);
    }
    for record in records("chainloop.ndjson") {
        assert_eq!(decode(&strict(&record)).pairs["externalId"], sha256(&record)[..32]);
    }
}

#[test]
fn what_was_encoded_before_changes_no_byte() {
    for settings in [CefConfig::default(), konnect()] {
        let mut encoder = CefEncoder::new(&settings, "portal");
        let mut checker = Checker::new(crate::config::Schema::Auto, Needs::Members);
        for file in samples() {
            for record in records(&file) {
                let mut out = Vec::new();
                encoder.encode(&checker.check(record.as_bytes()).unwrap(), &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), encoded(&settings, &record));
            }
        }
    }
}

#[test]
fn a_key_that_map_sets_is_there_once_in_either_dialect() {
    let mapped = |key| Mapped { key, from: MappedFrom::Pointer(vec!["org_id".to_owned()]) };
    let own = |name: &str| mapped(MappedKey::Own(name.to_owned()));
    for dialect in [Dialect::Strict, Dialect::Konnect] {
        let map = vec![mapped(MappedKey::Dictionary(CefKey::Request, None)), own("principal_id"), own("user_agent")];
        let settings = CefConfig { dialect, map, ..CefConfig::default() };
        for file in ["konnect.ndjson", "chainloop.ndjson"] {
            for record in records(file) {
                let pairs = decode(&encoded(&settings, &record)).pairs;
                assert_eq!(pairs.get("request"), pairs.get("principal_id"), "{pairs:?}");
            }
        }
    }
}

#[test]
fn every_line_of_every_sample_can_be_read_strictly() {
    let spaced = CefConfig { leading_space: true, ..CefConfig::default() };
    for file in samples() {
        for record in records(&file) {
            let line = strict(&record);
            let decoded = decode(&line);
            assert!(!decoded.header.iter().any(|field| field.contains(['=', '\\', '|'])), "{line}");
            let labelled = |key: &&String| CefKey::find(key).is_some_and(CefKey::has_label);
            for key in decoded.pairs.keys().filter(labelled) {
                assert!(decoded.pairs.contains_key(&format!("{key}Label")), "{key} of {line}");
            }
            for key in decoded.pairs.keys().filter(|key| !key.starts_with("ad") && !key.ends_with("Label")) {
                assert!(CefKey::find(key).is_some(), "{key} is not the dictionary's: {line}");
            }
            let body = |line: &str| line.splitn(8, '|').last().unwrap().to_owned();
            assert_eq!(body(&encoded(&spaced, &record)), format!(" {}", body(&line)));
        }
    }
}

#[test]
fn no_text_of_a_record_is_missing_from_its_line() {
    for file in samples().iter().filter(|file| !file.ends_with(".cef")) {
        for record in records(file) {
            let tree: serde_json::Value = serde_json::from_str(&record).unwrap();
            for settings in [CefConfig::default(), konnect()] {
                let line = encoded(&settings, &record);
                let read = decode(&line);
                let values: Vec<String> = read.header.into_iter().chain(read.pairs.into_values()).collect();
                missing(&tree, "", &mut |path, text| {
                    let said = values.iter().any(|value| value.contains(text));
                    let derived = [
                        "AUDIT_EVENT",
                        "EVENT_TYPE_",
                        "OUTCOME_",
                        "authentication",
                        "authorization",
                        "gateway_access",
                    ];
                    let known = derived.iter().any(|start| text.starts_with(start))
                        || ["/event_ts", "/cef_version", "/data", "/creator/entityName", "/creator/_entity_name"]
                            .iter()
                            .any(|end| path.ends_with(end))
                        || ["/success", "/granted", "/successful", "/authentication_type", "/outcome"]
                            .iter()
                            .any(|end| path.ends_with(end))
                        || text.parse::<jiff::Timestamp>().is_ok_and(|at| {
                            values.contains(&at.as_millisecond().to_string())
                                && at.subsec_nanosecond() % 1_000_000 == 0
                        });
                    assert!(said || known, "{path} ({text}) is not in {line}");
                });
            }
        }
    }
}

/// Tells of every text and number in a tree.
fn missing(tree: &serde_json::Value, path: &str, tell: &mut dyn FnMut(&str, &str)) {
    match tree {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| missing(value, &format!("{path}/{name}"), tell));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| missing(item, path, tell)),
        serde_json::Value::String(text) if text.trim().is_empty() => {}
        // Inside of a value that is JSON it stands escaped.
        serde_json::Value::String(text) if path.contains("/Info/") => {
            tell(path, text.split(['&', '"']).next().unwrap())
        }
        serde_json::Value::String(text) => tell(path, text),
        serde_json::Value::Null => {}
        other => tell(path, &other.to_string()),
    }
}

#[test]
fn the_settings_are_in_every_line() {
    let mapped = |key, from: &str| Mapped { key, from: MappedFrom::Pointer(vec![from.to_owned()]) };
    let settings = CefConfig {
        vendor: Some("V".to_owned()),
        host: Some("node-1".to_owned()),
        prefix: vec![
            PrefixPart::Time,
            PrefixPart::Text(" ".to_owned()),
            PrefixPart::Host,
            PrefixPart::Text(" ".to_owned()),
        ],
        map: vec![
            mapped(MappedKey::Dictionary(CefKey::Cs5, Some("who".to_owned())), "actor"),
            mapped(MappedKey::Dictionary(CefKey::Dpt, None), "message"),
            mapped(MappedKey::Own("acmeServer".to_owned()), "serverVersion"),
            Mapped { key: MappedKey::Dictionary(CefKey::App, None), from: MappedFrom::Field(Field::ActorType) },
        ],
        ipv6: Ipv6::C6a2,
        raw_event: true,
        ..CefConfig::default()
    };
    let record = &records("connect.ndjson")[4];
    let line = encoded(&settings, record);
    let cef = line.strip_prefix("2026-08-19T09:02:11Z node-1 ").expect("the event's own time");
    let decoded = decode(cef);
    assert_eq!(decoded.header[..2], ["V", "Connect"]);
    let pair = |key: &str| decoded.pairs.get(key).map(String::as_str);
    assert_eq!(
        (pair("c6a2"), pair("c6a2Label"), pair("src")),
        (Some("2001:db8:40::17"), Some("Source IPv6 Address"), None)
    );
    assert_eq!((pair("cs5"), pair("cs5Label")), (Some("google-oauth2|104466"), Some("who")));
    assert!(pair("ad_data").is_some(), "what cs5 would have been is not lost");
    assert_eq!(pair("dpt"), None, "it is no number");
    assert_eq!((pair("acmeServer"), pair("app"), pair("dvchost")), (Some("0.55.2"), Some("user"), Some("node-1")));
    assert_eq!(pair("rawEvent"), Some(record.as_str()));
    let timeless = encoded(&settings, r#"{"type":"x"}"#);
    assert!(timeless.starts_with("- node-1 CEF:0|V|portal|"), "never the clock: {timeless}");
}

#[test]
fn severities_are_what_the_table_says_of_type_and_outcome() {
    let table = |entries: &[(&str, u8)]| CefConfig {
        severity: entries.iter().map(|(word, severity)| ((*word).to_owned(), *severity)).collect(),
        ..CefConfig::default()
    };
    let connect = records("connect.ndjson");
    let (created, denied) = (&connect[0], &connect[5]);
    let of = |settings: &CefConfig, record: &str| decode(&encoded(settings, record)).header[5].clone();
    assert_eq!((of(&table(&[]), created), of(&table(&[]), denied)), ("1".into(), "6".into()));
    assert_eq!(of(&table(&[("denied", 9)]), denied), "9");
    assert_eq!(of(&table(&[("role_binding_creation", 2)]), denied), "6", "not below what its outcome says");
    assert_eq!(of(&table(&[("role_binding_creation", 8)]), denied), "8");
    assert_eq!(of(&table(&[("trust_zone_creation", 5), ("success", 2)]), created), "5");
    assert_eq!(of(&table(&[("success", 2)]), created), "2");
    assert_eq!(of(&table(&[("Ingress", 4)]), &records("konnect.ndjson")[7]), "4");
}

#[test]
fn what_is_too_long_in_a_mapping_is_cut_and_an_id_never() {
    let long = "x".repeat(5000);
    let record = json!({"id": format!("ae-{long}"), "occurredAt": "2026-08-19T09:02:11Z",
        "type": "EVENT_TYPE_NODE_DELETION", "message": long, "actor": "system"});
    let pairs = decode(&strict(&record.to_string())).pairs;
    assert_eq!((pairs["msg"].len(), pairs["adWhole_msg"].len(), pairs["adCut"].as_str()), (1023, 5000, "msg"));
    assert_eq!((pairs.get("externalId"), pairs["ad_id"].len()), (None, 5003));
    let raw = CefConfig { raw_event: true, ..CefConfig::default() };
    let pairs = decode(&encoded(&raw, &record.to_string())).pairs;
    assert_eq!((pairs["rawEvent"].chars().count(), pairs["adCut"].as_str()), (4000, "msg,rawEvent"));
    assert!(!pairs.contains_key("adWhole_rawEvent"));
}

#[test]
fn kubernetes_and_vault_are_written_by_their_fields() {
    let kubernetes = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "a-1",
        "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/x/secrets/s", "verb": "get",
        "user": {"username": "eve", "uid": "u-1", "groups": ["dev"]}, "sourceIPs": ["10.1.1.1", "192.0.2.7"],
        "userAgent": "kubectl", "objectRef": {"resource": "secrets", "namespace": "x", "name": "s", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 403}, "stageTimestamp": "2026-08-19T09:02:11.123456Z"});
    let decoded = decode(&strict(&kubernetes.to_string()));
    assert_eq!(decoded.header, ["Kubernetes", "Kubernetes", "1.0", "secrets.get", "secrets.get", "6"]);
    for (key, value) in [
        ("suser", "eve"),
        ("suid", "u-1"),
        ("src", "192.0.2.7"),
        ("requestMethod", "get"),
        ("request", "/api/v1/namespaces/x/secrets/s"),
        ("outcome", "denied"),
        ("cn1", "403"),
        ("ad_user_groups", r#"["dev"]"#),
        ("ad_objectRef_apiVersion", "v1"),
        ("ad_sourceIPs", r#"["10.1.1.1","192.0.2.7"]"#),
        ("ad_stageTimestamp", "2026-08-19T09:02:11.123456Z"),
    ] {
        assert_eq!(decoded.pairs.get(key).map(String::as_str), Some(value), "{key} of {decoded:?}");
    }
    let vault = json!({"time": "2026-08-19T09:02:11Z", "type": "response", "error": "permission denied",
        "auth": {"display_name": "ci", "entity_id": "e-1"}, "request": {"id": "r-1", "operation": "update",
        "path": "secret/x", "mount_type": "kv", "namespace": {"id": "ns-1", "path": "team/"}, "remote_address": "192.0.2.7", "data": {"a": 1}}});
    let decoded = decode(&strict(&vault.to_string()));
    assert_eq!(decoded.header[..4], ["HashiCorp", "Vault", "1.0", "response.update"]);
    assert_eq!(
        (&decoded.pairs["suser"], &decoded.pairs["reason"]),
        (&"ci".to_owned(), &"permission denied".to_owned())
    );
    assert_eq!((&*decoded.pairs["cs1"], &*decoded.pairs["ad_request_namespace_id"]), ("team/", "ns-1"));
    assert_eq!(decoded.pairs["ad_request_data"], r#"{"a":1}"#);
}

#[test]
fn a_sources_own_fields_go_before_common_names() {
    let fields = [(Field::Time, "/when"), (Field::ActorName, "/who/name"), (Field::TargetId, "/what")];
    let fields = fields.map(|(field, pointer)| (field, pointer.to_owned()));
    let mut checker = Checker::with(crate::config::Schema::Generic, &fields, Needs::Members, &[]);
    let line = json!({"type": "t", "time": "x", "when": "2026-08-19T09:02:11Z", "who": {"name": "eve", "team": "a"},
        "what": "w-1", "user": "someone"});
    let mut out = Vec::new();
    let line = line.to_string();
    CefEncoder::new(&CefConfig::default(), "portal").encode(&checker.check(line.as_bytes()).unwrap(), &mut out);
    let pairs = decode(std::str::from_utf8(&out).unwrap()).pairs;
    let expected = [
        ("ad_time", "x"),
        ("ad_user", "someone"),
        ("ad_who_team", "a"),
        ("cs3", "w-1"),
        ("cs3Label", "targetId"),
        ("rt", "1787130131000"),
        ("suser", "eve"),
    ];
    assert_eq!(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
}
