//! Wrong types, wrong words, numbers out of range, variables.

use super::*;

#[test]
fn types_are_checked() {
    each_has_one_problem(
        forwarder,
        &[
            ("inFlight: many", "4:13: forwarders[0].inFlight: \"many\" is not a whole number"),
            (
                "inFlight: \"2\"",
                "4:13: forwarders[0].inFlight: \"2\" is a text, expected a whole number: leave the quotes out",
            ),
            ("inFlight: 1.5", "4:13: forwarders[0].inFlight: \"1.5\" is not a whole number"),
            ("inFlight: -1", "4:13: forwarders[0].inFlight: \"-1\" is not a whole number"),
            ("inFlight: [1]", "4:13: forwarders[0].inFlight: expected a whole number, found a list"),
            ("allowHttp: yes", "4:14: forwarders[0].allowHttp: \"yes\" is not true or false; did you mean \"true\"?"),
            ("allowHttp: no", "4:14: forwarders[0].allowHttp: \"no\" is not true or false; did you mean \"false\"?"),
            (
                "allowHttp: \"true\"",
                "4:14: forwarders[0].allowHttp: \"true\" is a text, expected true or false: leave the quotes out",
            ),
            ("allowHttp: 1", "4:14: forwarders[0].allowHttp: \"1\" is not true or false"),
            ("headers: [X-A]", "4:12: forwarders[0].headers: expected a mapping (key: value), found a list"),
            ("headers: X-A", "4:12: forwarders[0].headers: expected a mapping (key: value), found a single value"),
            ("headers: {X-A: [1]}", "4:18: forwarders[0].headers.X-A: expected a text, found a list"),
            ("token: [a]", "4:10: forwarders[0].token: expected a text, found a list"),
            ("batch: 1000", "4:10: forwarders[0].batch: expected a mapping (key: value), found a single value"),
            ("batch: [1000]", "4:10: forwarders[0].batch: expected a mapping (key: value), found a list"),
            ("enabledEvents: all", "4:18: forwarders[0].enabledEvents: expected a list, found a single value"),
            ("enabledEvents: {all: true}", "4:18: forwarders[0].enabledEvents: expected a list, found a mapping"),
            ("enabledEvents: [[all]]", "4:19: forwarders[0].enabledEvents[0]: expected a text, found a list"),
            (
                "compression: [gzip]",
                "4:16: forwarders[0].compression: expected one of gzip, none, or a mapping (key: value), found a list",
            ),
            (
                "responses: {503: [retry]}",
                "4:20: forwarders[0].responses.503: expected one of delivered, retry, unauthorized, hold, halve, narrow, found a list",
            ),
        ],
    );
    assert_eq!(complaints("- sources\n- forwarders\n"), ["1:1: expected a mapping (key: value), found a list"]);
    assert_eq!(complaints("just a text"), ["1:1: expected a mapping (key: value), found a single value"]);
    assert_eq!(
        complaints("sources: [a]\nforwarders: {uri: \"https://siem.test\"}"),
        [
            "1:11: sources[0]: expected a mapping (key: value), found a single value",
            "2:13: forwarders: expected a list, found a mapping"
        ]
    );
}

#[test]
fn a_key_without_a_value_is_no_wish_for_the_default() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "timeout:",
                "4:10: forwarders[0].timeout: has no value: give it one, or leave the key out to take the default",
            ),
            (
                "token:",
                "4:8: forwarders[0].token: has no value: give it one, or leave the key out to take the default",
            ),
            (
                "token: null",
                "4:10: forwarders[0].token: has no value: give it one, or leave the key out to take the default",
            ),
            (
                "token: ~",
                "4:10: forwarders[0].token: has no value: give it one, or leave the key out to take the default",
            ),
            ("enabledEvents:", "4:16: forwarders[0].enabledEvents: expected a list, found nothing"),
            ("batch:", "4:8: forwarders[0].batch: expected a mapping (key: value), found nothing"),
        ],
    );
    each_has_one_problem(
        top,
        &[
            ("admin:", "3:6: admin: expected a mapping (key: value), found nothing"),
            (
                "log: {level: }",
                "3:12: log.level: has no value: give it one, or leave the key out to take the default",
            ),
        ],
    );
}

#[test]
fn words_are_checked_and_the_nearest_is_named() {
    each_has_one_problem(
        forwarder,
        &[
            ("kind: webhok", "4:9: forwarders[0].kind: \"webhok\" is not webhook; did you mean \"webhook\"?"),
            (
                "method: post",
                "4:11: forwarders[0].method: \"post\" is not one of POST, PUT, PATCH; did you mean \"POST\"?",
            ),
            ("method: GET", "4:11: forwarders[0].method: \"GET\" is not one of POST, PUT, PATCH"),
            ("format: jsn", "4:11: forwarders[0].format: \"jsn\" is not one of json, cef; did you mean \"json\"?"),
            (
                "framing: line",
                "4:12: forwarders[0].framing: \"line\" is not one of lines, array, single; did you mean \"lines\"?",
            ),
            (
                "profile: konect",
                "4:12: forwarders[0].profile: \"konect\" is not one of none, konnect, chainloop, splunk-hec, splunk-hec-raw, sumo, datadog, elastic-bulk, sentinel, secops, panther, logscale, loki, better-stack, dynatrace; did you mean \"konnect\"?",
            ),
            (
                "compression: gz",
                "4:16: forwarders[0].compression: \"gz\" is not one of gzip, none, or a mapping (key: value)",
            ),
            (
                "compression: zstd",
                "4:16: forwarders[0].compression: \"zstd\" is not one of gzip, none, or a mapping (key: value)",
            ),
            (
                "compression: {algorithm: gzpi}",
                "4:28: forwarders[0].compression.algorithm: \"gzpi\" is not one of gzip, none; did you mean \"gzip\"?",
            ),
            (
                "compression: {level: fastest}",
                "4:24: forwarders[0].compression.level: \"fastest\" is not one of fast, default, best, or a whole number; did you mean \"fast\"?",
            ),
            (
                "compression: {level: ultra}",
                "4:24: forwarders[0].compression.level: \"ultra\" is not one of fast, default, best, or a whole number",
            ),
            (
                "responses: {503: retyr}",
                "4:20: forwarders[0].responses.503: \"retyr\" is not one of delivered, retry, unauthorized, hold, halve, narrow; did you mean \"retry\"?",
            ),
        ],
    );
    each_has_one_problem(
        top,
        &[
            (
                "log: {level: warning}",
                "3:14: log.level: \"warning\" is not one of error, warn, info, debug, trace; did you mean \"warn\"?",
            ),
            ("log: {format: yaml}", "3:15: log.format: \"yaml\" is not one of text, json"),
        ],
    );
    each_has_one_problem(
        source,
        &[
            (
                "kind: flie",
                "5:9: sources[0].kind: \"flie\" is not one of file, stdin, unix, tcp, udp, http; did you mean \"file\"?",
            ),
            (
                "startAt: begining",
                "5:12: sources[0].startAt: \"begining\" is not one of beginning, end; did you mean \"beginning\"?",
            ),
            (
                "schema: kconnect",
                "5:11: sources[0].schema: \"kconnect\" is not one of auto, connect, infrakitchen, konnect, chainloop, kubernetes, vault, generic, raw; did you mean \"connect\"?",
            ),
        ],
    );
}

#[test]
fn numbers_durations_and_sizes_have_their_bounds() {
    each_has_one_problem(
        forwarder,
        &[
            ("inFlight: 0", "4:13: forwarders[0].inFlight: \"0\" is out of range: 1 to 64"),
            ("inFlight: 65", "4:13: forwarders[0].inFlight: \"65\" is out of range: 1 to 64"),
            (
                "inFlight: 99999999999999999999999",
                "4:13: forwarders[0].inFlight: \"99999999999999999999999\" is out of range: 1 to 64",
            ),
            ("batch: {maxEvents: 0}", "4:22: forwarders[0].batch.maxEvents: \"0\" is out of range: 1 to 1000000"),
            (
                "batch: {maxBytes: 1023}",
                "4:21: forwarders[0].batch.maxBytes: \"1023\" is out of range: 1KiB to 64MiB",
            ),
            (
                "batch: {maxBytes: 65MiB}",
                "4:21: forwarders[0].batch.maxBytes: \"65MiB\" is out of range: 1KiB to 64MiB",
            ),
            (
                "batch: {maxBytes: 1mb}",
                "4:21: forwarders[0].batch.maxBytes: \"1mb\" is no size: write 64KiB, 1MB, 1.5MiB (B, kB, MB, GB, KiB, MiB, GiB) or a number of bytes",
            ),
            ("timeout: 5", "4:12: forwarders[0].timeout: \"5\" has no unit: write 500ms, 5s, 2m, 1h or 1d"),
            (
                "timeout: 5 s",
                "4:12: forwarders[0].timeout: \"5 s\" is no duration: write a number and its unit, such as 500ms, 5s, 1.5s, 2m, 1h or 1d",
            ),
            ("timeout: 0s", "4:12: forwarders[0].timeout: must be more than zero"),
            ("timeout: 400d", "4:12: forwarders[0].timeout: \"400d\" is longer than 365d"),
            ("retry: {initial: 0ms}", "4:20: forwarders[0].retry.initial: must be more than zero"),
            ("compression: {level: 13}", "4:24: forwarders[0].compression.level: \"13\" is out of range: 0 to 12"),
        ],
    );
    each_has_one_problem(
        source,
        &[
            ("maxEventBytes: 0", "5:18: sources[0].maxEventBytes: \"0\" is out of range: 1KiB to 64MiB"),
            ("maxEventBytes: 1GiB", "5:18: sources[0].maxEventBytes: \"1GiB\" is out of range: 1KiB to 64MiB"),
            ("scanInterval: 1ms", "5:17: sources[0].scanInterval: \"1ms\" is too short: 10ms is the least"),
            ("sealAfter: 0s", "5:14: sources[0].sealAfter: must be more than zero"),
            ("format: cir", "5:11: sources[0].format: \"cir\" is not one of lines, cri; did you mean \"cri\"?"),
            ("stream: stdout", "5:11: sources[0].stream: has no effect: it is for files of format: cri"),
            (
                "format: cri\nspool: true",
                "6:10: sources[0].spool: does not go with format: cri: a request names the container by its file, and the kubelet renames what it rotates, so that nothing is lost without a spool",
            ),
            (
                "onlyJson: true\nschema: raw",
                "5:13: sources[0].onlyJson: has no effect: with schema: raw every line is an event",
            ),
        ],
    );
}

#[test]
fn variables_are_replaced_in_values_and_faults_name_no_value() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "token: ${GONE}",
                "4:10: forwarders[0].token: the variable GONE is not set; set it, or give a default: ${GONE:-default}",
            ),
            (
                "token: abc${GONE",
                "4:10: forwarders[0].token: a variable is not closed: write ${NAME} or ${NAME:-default}, and $$ for a dollar",
            ),
            (
                "token: pa$word",
                "4:10: forwarders[0].token: a single `$`: write $$ for a dollar, ${NAME} for a variable",
            ),
            (
                "token: ${GO-NE}",
                "4:10: forwarders[0].token: only ${NAME} and ${NAME:-default} are known, NAME being letters, digits and `_`",
            ),
            ("inFlight: ${WORDS}", "4:13: forwarders[0].inFlight: \"${WORDS}\" is not a whole number"),
            (
                "timeout: ${WORDS}",
                "4:12: forwarders[0].timeout: \"${WORDS}\" is no duration: write a number and its unit, such as 500ms, 5s, 1.5s, 2m, 1h or 1d",
            ),
            ("method: ${WORDS}", "4:11: forwarders[0].method: \"${WORDS}\" is not one of POST, PUT, PATCH"),
            (
                "name: ${WORDS}",
                "4:9: forwarders[0].name: \"${WORDS}\" must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric",
            ),
            ("sources: [\"${WORDS}\"]", "4:13: forwarders[0].sources[0]: no source is called \"${WORDS}\""),
            ("inFlight: ${EMPTY}", "4:13: forwarders[0].inFlight: \"${EMPTY}\" is not a whole number"),
            (
                "contentType: ${EMPTY}",
                "4:16: forwarders[0].contentType: is empty: leave the key out to take the default",
            ),
            ("token: ${EMPTY}", "4:10: forwarders[0].token: is empty"),
            (
                "${COUNT}: 1",
                "4:3: forwarders[0][\"${COUNT}\"]: unknown key; known here are actors, allowHttp, answers, auth, batch, cef, compression, contentEncoding, contentType, disabledEvents, enabledEvents, format, framing, headers, inFlight, json, kind, method, name, outcomes, profile, responses, retry, sources, targets, timeout, tls, token, tokenFile, uri, userAgent, where",
            ),
        ],
    );
    assert_eq!(complaints(&forwarder("name: ${GONE}${AWAY}")).len(), 2, "each missing variable is named");
}
