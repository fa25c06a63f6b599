//! Unknown, repeated and missing keys; all problems at once.

use super::*;

#[test]
fn keys_that_are_not_known_are_named_with_the_nearest() {
    each_has_one_problem(
        forwarder,
        &[
            ("batch: {maxAeg: 1s}", "4:11: forwarders[0].batch.maxAeg: unknown key; did you mean \"maxAge\"?"),
            (
                "batch: {max_events: 1}",
                "4:11: forwarders[0].batch.max_events: unknown key; did you mean \"maxEvents\"?",
            ),
            ("tokne: s3cret", "4:3: forwarders[0].tokne: unknown key; did you mean \"token\"?"),
            ("enableEvents: [all]", "4:3: forwarders[0].enableEvents: unknown key; did you mean \"enabledEvents\"?"),
            (
                "batch: {linger: 1s}",
                "4:11: forwarders[0].batch.linger: unknown key; known here are maxAge, maxBytes, maxEvents",
            ),
            (
                "tls: {ca: x}",
                "4:9: forwarders[0].tls.ca: unknown key; known here are caFile, certFile, insecureSkipVerify, keyFile",
            ),
        ],
    );
    each_has_one_problem(
        top,
        &[
            ("statedir: /x", "3:1: statedir: unknown key; did you mean \"stateDir\"?"),
            ("Admin: {listen: \"127.0.0.1:1\"}", "3:1: Admin: unknown key; did you mean \"admin\"?"),
            (
                "x-shared: 1",
                "3:1: x-shared: unknown key; known here are admin, auditLogForwarders, drainTimeout, forwarders, log, sources, stateDir",
            ),
            ("log: {lvl: info}", "3:7: log.lvl: unknown key; known here are format, level"),
        ],
    );
    each_has_one_problem(
        source,
        &[
            ("scaninterval: 1s", "5:3: sources[0].scaninterval: unknown key; did you mean \"scanInterval\"?"),
            (
                "roof: /x",
                "5:3: sources[0].roof: unknown key; known here are acks, allowUsers, exclude, fields, followLinks, format, framing, hmac, holdDeleted, idleTimeout, include, kind, listen, maxBodyBytes, maxBytes, maxConnections, maxEventBytes, mode, name, onFull, onlyJson, path, scanInterval, schema, sealAfter, signature, socketType, spool, startAt, stream, sync, tls, token, tokenFile",
            ),
        ],
    );
}

#[test]
fn a_misspelt_key_is_not_missing_as_well() {
    assert_eq!(
        complaints("sorces: [{name: a, include: [/x]}]\nforwarder: [{ur: \"https://siem.test\"}]\n"),
        [
            "1:1: sorces: unknown key; did you mean \"sources\"?",
            "2:1: forwarder: unknown key; did you mean \"forwarders\"?"
        ]
    );
    assert_eq!(
        complaints("sources: [{nmae: a, includ: [/x]}]\nauditLogForwarder: [{uri: \"https://siem.test\"}]\n"),
        [
            "1:12: sources[0].nmae: unknown key; did you mean \"name\"?",
            "1:21: sources[0].includ: unknown key; did you mean \"include\"?",
            "2:1: auditLogForwarder: unknown key; did you mean \"auditLogForwarders\"?"
        ]
    );
}

#[test]
fn keys_that_stand_twice_are_refused_where_the_second_stands() {
    each_has_one_problem(
        forwarder,
        &[
            ("timeout: 5s\ntimeout: 6s", "5:3: forwarders[0].timeout: key repeated; it is on line 4 already"),
            ("headers: {A: x, A: y}", "4:19: forwarders[0].headers.A: key repeated; it is on line 4 already"),
            (
                "responses: {503: retry, \"503\": hold}",
                "4:27: forwarders[0].responses.503: key repeated; it is on line 4 already",
            ),
        ],
    );
    each_has_one_problem(
        top,
        &[
            ("sources: []", "3:1: sources: key repeated; it is on line 1 already"),
            ("log: {level: info}\nlog: {level: info}", "4:1: log: key repeated; it is on line 3 already"),
        ],
    );
}

#[test]
fn keys_that_must_be_there_are_missed() {
    assert_eq!(
        complaints("stateDir: /x"),
        ["1:1: sources: is missing: nothing would be read", "1:1: forwarders: is missing: nothing would be sent"]
    );
    assert_eq!(
        complaints("sources: [{}]\nforwarders: [{}]"),
        [
            "1:11: sources[0].name: is missing",
            "1:11: sources[0].include: is missing: the paths or globs of the files to follow",
            "2:14: forwarders[0].uri: is missing"
        ]
    );
    each_has_one_problem(top, &[("admin: {}", "3:8: admin.listen: is missing")]);
}

#[test]
fn all_problems_are_reported_at_once_in_the_files_order() {
    let text = "\
stateDir: \"\"
sources:
  - name: A
    kind: tcp
    includ: [/x]
  - {name: b, include: [], maxEventBytes: lots}
forwarders:
  - uri: ftp://siem.test
    timeout: soon
    sources: [c]
    batch: {maxEvents: 0, maxAge: 1}
  - {token: x, tokenFile: y}
log: {level: loud}
";
    assert_eq!(
        complaints(text),
        [
            "1:11: stateDir: is empty: it must name a directory",
            "3:5: sources[0].listen: is missing: the address and port to listen on, such as 127.0.0.1:5140",
            "3:11: sources[0].name: \"A\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric; did you mean \"a\"?",
            "5:5: sources[0].includ: unknown key; did you mean \"include\"?",
            "6:24: sources[1].include: is empty: no file would be followed",
            "6:43: sources[1].maxEventBytes: \"lots\" is no size: write 64KiB, 1MB, 1.5MiB (B, kB, MB, GB, KiB, MiB, GiB) or a number of bytes",
            "8:10: forwarders[0].uri: must begin with https:// (or http://, see allowHttp)",
            "9:14: forwarders[0].timeout: \"soon\" is no duration: write a number and its unit, such as 500ms, 5s, 1.5s, 2m, 1h or 1d",
            "10:15: forwarders[0].sources[0]: no source is called \"c\"",
            "11:24: forwarders[0].batch.maxEvents: \"0\" is out of range: 1 to 1000000",
            "11:35: forwarders[0].batch.maxAge: \"1\" has no unit: write 500ms, 5s, 2m, 1h or 1d",
            "12:5: forwarders[1].uri: is missing",
            "12:27: forwarders[1].tokenFile: stands beside token: only one of them can be used",
            "13:14: log.level: \"loud\" is not one of error, warn, info, debug, trace"
        ]
    );
}
