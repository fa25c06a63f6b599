//! Shapes that no sample file has a line of, and lines that pretend.

use super::*;

/// What is told of a line: its system and the fields asked for.
fn told(schema: config::Schema, line: &str, fields: &[(Field, &str)]) -> (System, Vec<(Field, String)>) {
    let mut checker = Checker::new(schema, Needs::Fields(fields.iter().map(|(field, _)| *field).collect()));
    let event = checker.check(line.as_bytes()).unwrap();
    let facts = event.facts.unwrap();
    let mut scratch = String::new();
    let told = fields.iter().filter_map(|(field, _)| Some((*field, facts.get(*field, &mut scratch)?.to_owned())));
    (facts.system(), told.collect())
}

fn says(schema: config::Schema, line: &str, system: System, expected: &[(Field, &str)]) {
    let (found, told) = told(schema, line, expected);
    let told: Vec<(Field, &str)> = told.iter().map(|(field, text)| (*field, text.as_str())).collect();
    let expected: Vec<(Field, &str)> = expected.iter().copied().filter(|(_, text)| !text.is_empty()).collect();
    assert_eq!((found, told), (system, expected), "{line}");
}

#[test]
fn records_of_the_pull_api_are_called_as_the_webhook_calls_them() {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/samples/konnect.pull_response.json")).unwrap();
    let expected: [&[(Field, &str)]; 3] = [
        &[
            (Field::Type, "Authz.control-planes/1c026712-c17d-4e30-ac27-53a6cdc56b9c"),
            (Field::Outcome, "denied"),
            (Field::TargetType, "control-planes"),
            (Field::TargetId, "1c026712-c17d-4e30-ac27-53a6cdc56b9c"),
            (Field::SourceAddress, "198.51.100.77"),
            (Field::Time, "2026-08-19T09:20:05.77Z"),
            (Field::RequestPath, "/v2/control-planes/1c026712-c17d-4e30-ac27-53a6cdc56b9c"),
        ],
        &[
            (Field::Type, "Ingress"),
            (Field::Outcome, "success"),
            (Field::RequestMethod, "POST"),
            (Field::RequestStatus, "201"),
        ],
        &[(Field::Type, "AUTHENTICATION_OUTCOME_SUCCESS"), (Field::Outcome, "success"), (Field::Reason, "")],
    ];
    for (record, expected) in all["data"].as_array().unwrap().iter().zip(expected) {
        for schema in [Auto, config::Schema::Konnect] {
            says(schema, &record.to_string(), System::Konnect, expected);
        }
    }
}

#[test]
fn an_envelope_its_bare_data_and_snake_case_are_one_event() {
    let expected = [
        (Field::Type, "RoleChanged"),
        (Field::ActorEmail, "lena@acme.example"),
        (Field::TargetName, "omar@acme.example"),
        (Field::Payload, r#"{"email":"omar@acme.example"}"#),
    ];
    let data = r#"{"ActionType":"RoleChanged","TargetType":"User","ActorType":"USER","ActorID":null,"ActorEmail":"lena@acme.example","Info":{"email":"omar@acme.example"}}"#;
    let snake = r#"{"action_type":"RoleChanged","target_type":"User","actor_type":"USER","actor_email":"lena@acme.example","info":{"email":"omar@acme.example"}}"#;
    for line in [
        data.to_owned(),
        format!(r#"{{"EventType":"AUDIT_EVENT","Timestamp":"2026-08-19T10:06:00Z","Data":{data}}}"#),
        snake.to_owned(),
        format!(r#"{{"event_type":"AUDIT_EVENT","data":{snake}}}"#),
    ] {
        for schema in [Auto, config::Schema::Chainloop] {
            says(schema, &line, System::Chainloop, &expected);
        }
    }
}

#[test]
fn both_spellings_numbers_and_escapes_of_connect_are_read() {
    let line = r#"{"id":"ae-1","occurredAt":"2026-08-19T08:15:02Z","type":"trust_zone_server_update","links":[{"type":"ENTITY_TYPE_TRUST_ZONE","id":"tz-1"}, {"id":"tzs-\u0031","type":"ENTITY_TYPE_TRUST_ZONE_SERVER"}],"actor":"spiffe://x","outcome":"OUTCOME_UNSPECIFIED"}"#;
    let expected = [
        (Field::Type, "trust_zone_server_update"),
        (Field::TargetType, "trust_zone_server"),
        (Field::TargetId, "tzs-1"),
        (Field::ActorType, "workload"),
        (Field::Outcome, ""),
        (Field::OrganizationId, ""),
    ];
    says(Auto, line, System::Connect, &expected);
    let line = r#"{ "id" : "ae-2" , "occurred_at" : "2026-08-19T08:15:02Z" , "type" : 36 , "data" : "no base64!" }"#;
    says(Auto, line, System::Connect, &[(Field::Type, "36"), (Field::Payload, "no base64!"), (Field::TargetId, "")]);
    let only_organization = r#"{"id":"ae-3","occurredAt":"x","type":"EVENT_TYPE_NODE_\u0044ELETION","links":[{"type":"ENTITY_TYPE_ORGANIZATION","id":"org-1"}]}"#;
    let expected = [(Field::Type, "node_deletion"), (Field::TargetId, ""), (Field::OrganizationId, "org-1")];
    says(Auto, only_organization, System::Connect, &expected);
}

#[test]
fn numbers_and_strings_say_the_same_of_a_konnect_record() {
    for (rt, flag, status) in [("1787131330018", "false", "403"), (r#""1787131330018""#, r#""false""#, r#""403""#)] {
        let head = format!(r#"{{"cef_version":0,"event_class_id":"x","rt":{rt},"#);
        let expected = [(Field::Time, "1787131330018"), (Field::Outcome, "denied")];
        says(Auto, &format!(r#"{head}"name":"Authz.portals","granted":{flag}}}"#), System::Konnect, &expected);
        says(Auto, &format!(r#"{head}"name":"Ingress","status":{status}}}"#), System::Konnect, &expected);
        let expected = [(Field::Outcome, "failure"), (Field::Reason, "token_expired")];
        let line = format!(r#"{head}"name":"AUTHENTICATION_OUTCOME_TOKEN_EXPIRED","success":{flag}}}"#);
        says(Auto, &line, System::Konnect, &expected);
    }
}

#[test]
fn a_konnect_record_without_a_known_name_is_classed_by_its_members() {
    let mut scratch = String::new();
    for (member, class) in [
        (r#""success":true"#, konnect::Class::Authn),
        (r#""granted":true"#, konnect::Class::Authz),
        (r#""action":"list""#, konnect::Class::Authz),
        (r#""act":"POST""#, konnect::Class::Access),
        (r#""status":200"#, konnect::Class::Access),
    ] {
        let line = format!(r#"{{"cef_version":"0","event_class_id":"x","name":"new",{member}}}"#);
        let mut checker = Checker::new(Auto, Needs::Type);
        let facts = checker.check(line.as_bytes()).unwrap().facts.unwrap();
        assert_eq!(konnect::class(facts), Some(class), "{line}");
        assert!(facts.any_other_type(&mut scratch, &mut |name| name == class.name()));
    }
}

#[test]
fn kubernetes_and_vault_have_maps_ready() {
    let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/prod/pods/web/exec","verb":"create","user":{"username":"system:serviceaccount:ci:deployer","uid":"u-1","groups":["g"]},"sourceIPs":["10.0.0.1","192.0.2.9"],"userAgent":"kubectl","objectRef":{"resource":"pods","namespace":"prod","name":"web","subresource":"exec"},"responseStatus":{"metadata":{},"code":403,"reason":"Forbidden"},"stageTimestamp":"2026-08-19T09:00:00.000001Z","annotations":{"authorization.k8s.io/decision":"forbid"}}"#;
    let expected = [
        (Field::Id, "a-1"),
        (Field::Type, "pods/exec.create"),
        (Field::Time, "2026-08-19T09:00:00.000001Z"),
        (Field::ActorId, "u-1"),
        (Field::ActorName, "system:serviceaccount:ci:deployer"),
        (Field::ActorType, "serviceaccount"),
        (Field::SourceAddress, "192.0.2.9"),
        (Field::Outcome, "denied"),
        (Field::Reason, "Forbidden"),
        (Field::TargetName, "web"),
        (Field::OrganizationId, "prod"),
        (Field::RequestStatus, "403"),
    ];
    for schema in [Auto, config::Schema::Kubernetes] {
        says(schema, line, System::Kubernetes, &expected);
    }
    let line = r#"{"time":"2026-08-19T09:00:00Z","type":"response","auth":{"display_name":"oidc-lena","entity_id":"e-1","token_type":"service"},"request":{"id":"r-1","operation":"update","path":"secret/data/x","mount_type":"kv","remote_address":"192.0.2.9","namespace":{"id":"root"}},"error":"1 error occurred: permission denied"}"#;
    let expected = [
        (Field::Id, "r-1"),
        (Field::Type, "response.update"),
        (Field::ActorName, "oidc-lena"),
        (Field::SourceAddress, "192.0.2.9"),
        (Field::Outcome, "denied"),
        (Field::TargetName, "secret/data/x"),
        (Field::OrganizationId, "root"),
    ];
    for schema in [Auto, config::Schema::Vault] {
        says(schema, line, System::Vault, &expected);
    }
}

#[test]
fn what_only_resembles_a_system_is_generic() {
    for line in [
        r#"{"id":"ae-1","type":"trust_zone_creation"}"#,
        r#"{"id":"x","occurredAt":"now","type":"login"}"#,
        r#"{"model":"gpt","action":"login"}"#,
        r#"{"event_class_id":"x","name":"y"}"#,
        r#"{"type":"authentication","ts":"now"}"#,
        r#"{"Data":{"ActionType":"LoggedIn"}}"#,
        r#"{"meta":{"ActionType":"LoggedIn","TargetType":"User","ActorType":"USER"}}"#,
        r#"{"auditID":"a","stage":"s"}"#,
        r#"{"type":"request","request":{"path":"/x"}}"#,
        r#"[{"auditID":"a","stage":"s","verb":"get"}]"#,
        "42",
    ] {
        assert_eq!(told(Auto, line, &[]).0, System::Generic, "{line}");
    }
}

#[test]
fn names_in_disguise_and_names_that_come_again_are_read_as_serde_json_reads_them() {
    let line =
        r#"{"mod\u0065l":"resource","action":"create","entityId":"e","createdAt":"t","acti\u006fn":"destroy"}"#;
    says(Auto, line, System::InfraKitchen, &[(Field::Type, "resource.destroy")]);
    let line = r#"{"Data":{"ActionType":"A","TargetType":"User","ActorType":"USER"},"Data":{"ActionType":"B","TargetType":"User","ActorType":"USER"}}"#;
    says(Auto, line, System::Chainloop, &[(Field::Type, "B")]);
    let line = r#"{"Data":{"ActionType":"A","TargetType":"User","ActorType":"USER"},"Data":null}"#;
    assert_eq!(told(Auto, line, &[]).0, System::Generic);
}

#[test]
fn a_sources_own_fields_go_before_the_common_names_and_null_says_nothing() {
    let mapped = [
        (Field::Id, "/meta/uid".to_owned()),
        (Field::ActorName, "/who~1what".to_owned()),
        (Field::Type, "/kind".to_owned()),
    ];
    let needs = Needs::Fields([Field::Id, Field::ActorName, Field::Message].into_iter().collect());
    let mut checker = Checker::with(Generic, &mapped, needs, &["/meta".to_owned(), "/none".to_owned()]);
    let line =
        br#"{"id":"no","meta":{"uid":7},"who/what":"\u0041da","user":"no","message":"m","type":"no","kind":"k"}"#;
    let event = checker.check(line).unwrap();
    let facts = event.facts.unwrap();
    let mut scratch = String::new();
    assert_eq!(event.event_type, Some("k"));
    assert_eq!(facts.get(Field::Id, &mut scratch), Some("7"));
    assert_eq!(facts.get(Field::ActorName, &mut scratch), Some("Ada"));
    assert_eq!(facts.get(Field::Message, &mut scratch), Some("m"), "what is not mapped has its common names");
    assert_eq!(facts.asked(0).unwrap().raw, r#"{"uid":7}"#);
    assert!(facts.asked(1).is_none() && facts.asked(2).is_none());
    let facts = checker.check(br#"{"meta":{"uid":null},"id":"no"}"#).unwrap().facts.unwrap();
    assert_eq!(facts.get(Field::Id, &mut scratch), None);
}

#[test]
fn any_cef_is_an_event_where_cef_is_expected_and_not_elsewhere() {
    let line = "<13>Aug 19 09:00:00 fw CEF:0|Acme|Wall|2|100|blocked|5|src=192.0.2.1 suser=a b msg=x";
    let expected = [(Field::Type, "blocked"), (Field::SourceAddress, "192.0.2.1"), (Field::Message, "x")];
    says(Auto, line, System::Generic, &expected);
    for needs in [Needs::Validity, Needs::Type, Needs::Members] {
        let mut checker = Checker::new(Auto, needs);
        let event = checker.check(line.as_bytes()).unwrap();
        assert!(matches!(event.form, EventForm::Cef(_)));
        assert_eq!(event.line, line.as_bytes());
        assert_eq!(checker.check(b"CEF:0|\xff|").unwrap_err(), Invalid::Utf8 { at: 6 });
        assert_eq!(checker.check(b"text CEF:0|a|b").unwrap_err().reason(), "invalid_json");
        for schema in [Generic, config::Schema::Connect] {
            assert_eq!(Checker::new(schema, needs).check(line.as_bytes()).unwrap_err().reason(), "invalid_json");
        }
        let json = br#"{"type":"x","text":"CEF:0|a|b|c|d|e|f|"}"#;
        assert!(matches!(checker.check(json).unwrap().form, EventForm::Json(_)));
    }
}

#[test]
fn what_two_readers_need_is_the_union_of_it() {
    let one = |field| Needs::Fields(FieldSet::EMPTY.with(field));
    let both = Needs::Fields([Field::Id, Field::Time].into_iter().collect());
    assert_eq!(one(Field::Id).max(one(Field::Time)), both);
    assert_eq!(Needs::Type.max(both), both);
    assert_eq!(both.max(Needs::Members), Needs::Members);
    assert_eq!(Needs::Validity.max(Needs::Type), Needs::Type);
}
