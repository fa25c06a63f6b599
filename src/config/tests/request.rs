//! The rules of what is sent where: uri, token, headers, and what answers mean.

use super::*;

fn uri(uri: &str) -> String {
    format!("sources: [{{name: a, include: [/log/a]}}]\nforwarders:\n- uri: {uri}\n")
}

#[test]
fn uris_are_http_and_hold_no_secret() {
    each_has_one_problem(
        uri,
        &[
            ("siem.test/x", "3:8: forwarders[0].uri: must begin with https:// (or http://, see allowHttp)"),
            ("ftp://siem.test", "3:8: forwarders[0].uri: must begin with https:// (or http://, see allowHttp)"),
            ("https:siem.test", "3:8: forwarders[0].uri: must begin with https:// (or http://, see allowHttp)"),
            ("https://", "3:8: forwarders[0].uri: is no valid uri: empty host"),
            ("https://siem.test:99999/", "3:8: forwarders[0].uri: is no valid uri: invalid port number"),
            (
                "https://sie m.test/",
                "3:8: forwarders[0].uri: has a space or a control character in it; write %20 for a space",
            ),
            (
                "\"https://siem.test/\\n\"",
                "3:8: forwarders[0].uri: has a space or a control character in it; write %20 for a space",
            ),
            (
                "https://user:s3cret@siem.test/x",
                "3:8: forwarders[0].uri: has a user or password in it, which would show in diagnostics: use token, tokenFile, or an Authorization header",
            ),
            (
                "https://s3cret@siem.test/x",
                "3:8: forwarders[0].uri: has a user or password in it, which would show in diagnostics: use token, tokenFile, or an Authorization header",
            ),
            (
                "https://siem.test/x#part",
                "3:8: forwarders[0].uri: has a fragment (`#…`), which is never sent: leave it out, or write %23",
            ),
            (
                "http://siem.test/x",
                "3:8: forwarders[0].uri: plain http to another host shows events and token to the network: use https, or set allowHttp: true",
            ),
            (
                "http://10.1.2.3/x",
                "3:8: forwarders[0].uri: plain http to another host shows events and token to the network: use https, or set allowHttp: true",
            ),
            (
                "http://siem.test/x\n  allowHttp: false",
                "3:8: forwarders[0].uri: plain http to another host shows events and token to the network: use https, or set allowHttp: true",
            ),
            ("\"\"", "3:8: forwarders[0].uri: must begin with https:// (or http://, see allowHttp)"),
        ],
    );
}

#[test]
fn tokens_are_one_and_can_be_sent() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "token: s3cret\ntokenFile: /run/token",
                "5:14: forwarders[0].tokenFile: stands beside token: only one of them can be used",
            ),
            ("token: \"\"", "4:10: forwarders[0].token: is empty"),
            (
                "token: s3cret half",
                "4:10: forwarders[0].token: has a space, a line break or another character in it that no bearer token has",
            ),
            (
                "token: \"s3cret\\r\\nX-Evil: 1\"",
                "4:10: forwarders[0].token: has a space, a line break or another character in it that no bearer token has",
            ),
            (
                "token: s3crét",
                "4:10: forwarders[0].token: has a space, a line break or another character in it that no bearer token has",
            ),
            ("tokenFile: \"\"", "4:14: forwarders[0].tokenFile: is empty: it must name a file"),
        ],
    );
}

#[test]
fn headers_are_valid() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "headers: {\"X A\": s3cret}",
                "4:13: forwarders[0].headers[\"X A\"]: is no valid header name: letters, digits and - are",
            ),
            (
                "headers: {\"\": s3cret}",
                "4:13: forwarders[0].headers[\"\"]: is no valid header name: letters, digits and - are",
            ),
            (
                "headers: {\"X-Ä\": s3cret}",
                "4:13: forwarders[0].headers[\"X-Ä\"]: is no valid header name: letters, digits and - are",
            ),
            (
                "headers: {X-A: \"s3cret\\r\\nEvil: 1\"}",
                "4:18: forwarders[0].headers.X-A: has a line break, a control character or a letter beyond ASCII in it, which no header may",
            ),
            (
                "headers: {X-A: \"s3cret\\0\"}",
                "4:18: forwarders[0].headers.X-A: has a line break, a control character or a letter beyond ASCII in it, which no header may",
            ),
            (
                "headers: {X-A: s3crét}",
                "4:18: forwarders[0].headers.X-A: has a line break, a control character or a letter beyond ASCII in it, which no header may",
            ),
            (
                "headers: {X-A: 1, x-a: 2}",
                "4:21: forwarders[0].headers.x-a: is there already: case makes no difference in a header's name",
            ),
            (
                "token: s3cret\nheaders: {Authorization: s3cret}",
                "5:13: forwarders[0].headers.Authorization: stands beside token or tokenFile, which sets it",
            ),
            (
                "tokenFile: /t\nheaders: {authorization: s3cret}",
                "5:13: forwarders[0].headers.authorization: stands beside token or tokenFile, which sets it",
            ),
            (
                "contentType: \"a\\nb\"",
                "4:16: forwarders[0].contentType: has a line break, a control character or a letter beyond ASCII in it, which no header may",
            ),
            ("userAgent: \"\"", "4:14: forwarders[0].userAgent: is empty: leave the key out to take the default"),
            (
                "contentEncoding: é",
                "4:20: forwarders[0].contentEncoding: has a line break, a control character or a letter beyond ASCII in it, which no header may",
            ),
        ],
    );
}

#[test]
fn headers_are_not_auditposts_own() {
    each_has_one_problem(
        forwarder,
        &[
            (
                "headers: {Content-Type: text/plain}",
                "4:13: forwarders[0].headers.Content-Type: is set by auditpost: use contentType",
            ),
            (
                "headers: {CONTENT-ENCODING: gzip}",
                "4:13: forwarders[0].headers.CONTENT-ENCODING: is set by auditpost: use compression and contentEncoding",
            ),
            (
                "headers: {User-Agent: me}",
                "4:13: forwarders[0].headers.User-Agent: is set by auditpost: use userAgent",
            ),
            (
                "headers: {Host: s3cret}",
                "4:13: forwarders[0].headers.Host: is set by auditpost, to the host of the uri",
            ),
            (
                "headers: {Content-Length: 1}",
                "4:13: forwarders[0].headers.Content-Length: is set by auditpost: it belongs to the connection",
            ),
            (
                "headers: {Transfer-Encoding: chunked}",
                "4:13: forwarders[0].headers.Transfer-Encoding: is set by auditpost: it belongs to the connection",
            ),
            (
                "headers: {webhook-id: x}",
                "4:13: forwarders[0].headers.webhook-id: is set by auditpost, for each batch",
            ),
            (
                "headers: {Webhook-Timestamp: x}",
                "4:13: forwarders[0].headers.Webhook-Timestamp: is set by auditpost, for each batch",
            ),
            (
                "headers: {Idempotency-Key: x}",
                "4:13: forwarders[0].headers.Idempotency-Key: is set by auditpost, for each batch",
            ),
            (
                "headers: {Auditpost-Anything: x}",
                "4:13: forwarders[0].headers.Auditpost-Anything: is set by auditpost: the prefix Auditpost- is its own",
            ),
        ],
    );
}

#[test]
fn responses_are_of_statuses() {
    each_has_one_problem(
        forwarder,
        &[
            ("responses: {99: retry}", "4:15: forwarders[0].responses.99: is no status: 100 to 599 are"),
            ("responses: {600: retry}", "4:15: forwarders[0].responses.600: is no status: 100 to 599 are"),
            ("responses: {5xx: retry}", "4:15: forwarders[0].responses.5xx: is no status: 100 to 599 are"),
            ("responses: {0503: retry}", "4:15: forwarders[0].responses.0503: is no status: 100 to 599 are"),
        ],
    );
}
