//! What good configurations become.

use std::time::Duration;

use reqwest::Method;

use super::*;
use crate::config::{
    AnswerVerdict, Answers, Auth, BatchLimits, CefConfig, Compression, CompressionLevel, EventTypes, FilterRules,
    Format, Framing, LineFormat, Retry, Schema, Secret, Source, SourceKind, StartAt, Tls, Token,
};

fn bearer(token: Token) -> Auth {
    Auth::Token { token, header: reqwest::header::AUTHORIZATION, scheme: Some("Bearer".to_owned()) }
}

#[test]
fn defaults_are_those_of_the_readme() {
    let config = load(&top("")).expect("it is good");
    assert_eq!(config.state_dir, std::path::Path::new("./auditpost-state"));
    assert_eq!(config.drain_timeout, Duration::from_secs(20));
    assert_eq!(config.admin, None);
    assert_eq!(config.diagnostics.level, tracing::Level::INFO);
    let [Source { name, kind: SourceKind::File(file), schema, fields, max_event_bytes, only_json }] =
        config.sources.as_slice()
    else {
        panic!("one source");
    };
    assert_eq!((name.as_str(), *schema, *max_event_bytes), ("a", Schema::Auto, 1 << 20));
    assert!(fields.is_empty() && !only_json);
    assert_eq!(file.format, LineFormat::Lines);
    assert_eq!((file.start_at, file.scan_interval), (StartAt::Beginning, Duration::from_secs(1)));
    assert_eq!(file.seal_after, Duration::from_secs(30));
    let version = crate::VERSION;
    let expected = Forwarder {
        name: "siem-test".to_owned(),
        uri: "https://siem.test/x".parse().expect("a uri"),
        method: Method::POST,
        auth: Auth::None,
        headers: Vec::new(),
        sources: vec!["a".to_owned()],
        filter: FilterRules::default(),
        cef: CefConfig::default(),
        format: Format::Json,
        framing: Framing::Lines,
        wrap: None,
        compression: Compression::Gzip(CompressionLevel::Default),
        content_type: "application/x-ndjson".to_owned(),
        content_encoding: "gzip".to_owned(),
        user_agent: format!("auditpost/{version}"),
        timeout: Duration::from_secs(5),
        batch: BatchLimits { max_events: 1_000, max_bytes: 1_000_000, max_age: Duration::from_secs(1) },
        retry: Retry { initial: Duration::from_secs(1), max: Duration::from_secs(60) },
        probe: Duration::from_secs(300),
        in_flight: 1,
        tls: Tls::default(),
        responses: Vec::new(),
        answers: Answers::Status,
    };
    assert_eq!(config.forwarders, [expected]);
}

#[test]
fn profiles_set_what_the_readme_tabulates() {
    let ours = format!("auditpost/{}", crate::VERSION);
    let gzip = Compression::Gzip(CompressionLevel::Default);
    let chainloop = "Chainloop-Audit-Logger/1.0";
    for (more, content_type, compression, encoding, agent, framing) in [
        ("framing: array", "application/json", gzip, "gzip", ours.as_str(), Framing::Array),
        ("framing: single", "application/json", gzip, "gzip", &ours, Framing::Single),
        ("format: cef", "text/plain; charset=utf-8", gzip, "gzip", &ours, Framing::Lines),
        ("format: cef\nframing: single", "text/plain; charset=utf-8", gzip, "gzip", &ours, Framing::Single),
        ("profile: none", "application/x-ndjson", gzip, "gzip", &ours, Framing::Lines),
        ("profile: konnect", "application/text", gzip, "application/gzip", &ours, Framing::Lines),
        ("profile: chainloop", "application/json", Compression::None, "gzip", chainloop, Framing::Single),
        ("profile: konnect\nframing: array", "application/text", gzip, "application/gzip", &ours, Framing::Array),
        ("profile: konnect\ncontentEncoding: gzip", "application/text", gzip, "gzip", &ours, Framing::Lines),
        ("profile: chainloop\ncompression: gzip", "application/json", gzip, "gzip", chainloop, Framing::Single),
        (
            "profile: chainloop\ncontentType: a/b\nuserAgent: me",
            "a/b",
            Compression::None,
            "gzip",
            "me",
            Framing::Single,
        ),
    ] {
        let forwarder = only(&forwarder(more));
        assert_eq!(
            (forwarder.content_type.as_str(), forwarder.compression, forwarder.content_encoding.as_str()),
            (content_type, compression, encoding),
            "{more}"
        );
        assert_eq!((forwarder.user_agent.as_str(), forwarder.framing), (agent, framing), "{more}");
    }
}

#[test]
fn one_event_a_request_is_a_batch_of_one() {
    assert_eq!(only(&forwarder("framing: single")).batch.max_events, 1);
    assert_eq!(only(&forwarder("framing: single\nbatch: {maxEvents: 1}")).batch.max_events, 1);
}

#[test]
fn every_key_of_a_forwarder_arrives() {
    let forwarder = only(&forwarder(
        "name: siem\nmethod: PATCH\ntoken: ${SIEM_TOKEN}\nheaders: {X-B: \"${SECRET}\", X-A: a}\nsources: [a]\n\
         enabledEvents: [login, logout]\ndisabledEvents: [ping]\nformat: cef\nframing: single\n\
         compression: {level: 9}\ntimeout: 1.5s\nbatch: {maxBytes: 64KiB, maxAge: 0s}\nretry: {initial: 5ms, max: 2m}\n\
         inFlight: ${COUNT}\nresponses: {404: retry, \"500\": hold}\n\
         tls: {caFile: /ca, certFile: /cert, keyFile: /key, insecureSkipVerify: \"${TRUE}\"}",
    ));
    assert_eq!((forwarder.name.as_str(), &forwarder.method), ("siem", &Method::PATCH));
    assert_eq!(forwarder.auth, bearer(Token::Inline(Secret::new("tok-s3cret"))));
    let headers: Vec<_> = forwarder.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-a", "a"), ("x-b", "s3cret")]);
    let these = |types: &[&str]| EventTypes::These(types.iter().map(|event| (*event).to_owned()).collect());
    let expected =
        FilterRules { enabled: these(&["login", "logout"]), disabled: these(&["ping"]), ..FilterRules::default() };
    assert_eq!(forwarder.filter, expected);
    assert_eq!(forwarder.compression, Compression::Gzip(CompressionLevel::Number(9)));
    assert_eq!(forwarder.timeout, Duration::from_millis(1_500));
    assert_eq!(forwarder.batch, BatchLimits { max_events: 1, max_bytes: 65_536, max_age: Duration::ZERO });
    assert_eq!(forwarder.retry, Retry { initial: Duration::from_millis(5), max: Duration::from_secs(120) });
    assert_eq!(forwarder.in_flight, 7);
    assert_eq!(forwarder.responses, [(404, AnswerVerdict::Retry), (500, AnswerVerdict::Hold)]);
    assert!(forwarder.tls.insecure_skip_verify && forwarder.tls.ca_file.is_some() && forwarder.tls.client.is_some());
}

#[test]
fn compression_has_a_short_and_a_long_form() {
    for (more, compression) in [
        ("compression: none", Compression::None),
        ("compression: gzip", Compression::Gzip(CompressionLevel::Default)),
        ("compression: {algorithm: none}", Compression::None),
        ("compression: {level: fast}", Compression::Gzip(CompressionLevel::Fast)),
        ("compression: {algorithm: gzip, level: best}", Compression::Gzip(CompressionLevel::Best)),
        ("compression: {level: 0}", Compression::Gzip(CompressionLevel::Number(0))),
    ] {
        assert_eq!(only(&forwarder(more)).compression, compression, "{more}");
    }
}

#[test]
fn a_token_may_come_from_a_file_and_lose_its_line_end() {
    assert_eq!(only(&forwarder("tokenFile: /run/token")).auth, bearer(Token::File("/run/token".into())));
    assert_eq!(only(&forwarder("token: |\n  abc")).auth, bearer(Token::Inline(Secret::new("abc"))));
}

#[test]
fn an_authorization_header_of_ones_own_is_taken_where_there_is_no_token() {
    let forwarder = only(&forwarder("headers: {Authorization: Splunk s3cret}"));
    assert_eq!(forwarder.headers[0].0, "authorization");
}

#[test]
fn forwarders_have_another_name_and_paths_say_it() {
    let text = |timeout: &str| {
        format!(
            "sources: [{{name: a, include: [/x]}}]\nauditLogForwarders: [{{uri: \"https://s.test\", timeout: {timeout}}}]"
        )
    };
    assert_eq!(only(&text("5s")).name, "s-test");
    assert_eq!(complaints(&text("0s")), ["2:55: auditLogForwarders[0].timeout: must be more than zero"]);
}

#[test]
fn a_forwarder_follows_sources_in_the_configurations_order() {
    let text = "sources: [{name: a, include: [/x]}, {name: b, include: [/y]}, {name: c, include: [/z]}]\n\
                forwarders: [{uri: \"https://s.test\", sources: [c, a, c]}]";
    assert_eq!(only(text).sources, ["a", "c"]);
}

#[test]
fn plain_http_is_taken_to_this_machine_and_where_it_is_allowed() {
    for uri in
        ["http://127.0.0.1:8088/x", "http://localhost/x", "\"http://[::1]/\"", "http://siem.test\n  allowHttp: true"]
    {
        only(&format!("sources: [{{name: a, include: [/x]}}]\nforwarders:\n- uri: {uri}\n"));
    }
}

#[test]
fn configurations_can_be_compared_so_that_a_reload_knows_what_changed() {
    let [old, new] = ["token: a", "token: b"].map(|more| load(&forwarder(more)).expect("it is good"));
    assert_eq!(old.sources, new.sources);
    assert_ne!(old.forwarders, new.forwarders);
    assert_eq!(old, load(&forwarder("token: a # the same")).expect("it is good"));
}
