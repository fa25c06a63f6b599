//! What the steps of a ping say, and what to do about it: plain functions of what came back.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    config::{AnswerVerdict, Auth, Compression, Forwarder},
    forwarder::{
        deliver::Session,
        judge::{Answer, FailureKind, judge},
    },
};

/// A certificate that ends sooner is worth a look: renewals that work come earlier.
const SOON: i64 = 14;
const DAY: i64 = 24 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PingMark {
    Ok,
    /// It works, and somebody should look at it.
    Look,
    Failed,
}

impl PingMark {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Look => "look",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PingFinding {
    pub(super) mark: PingMark,
    pub(super) step: &'static str,
    pub(super) text: String,
}

impl PingFinding {
    pub(super) fn ok(step: &'static str, text: impl Into<String>) -> Self {
        Self { mark: PingMark::Ok, step, text: text.into() }
    }

    fn look(step: &'static str, text: impl Into<String>) -> Self {
        Self { mark: PingMark::Look, step, text: text.into() }
    }

    pub(super) fn failed(step: &'static str, text: impl Into<String>) -> Self {
        Self { mark: PingMark::Failed, step, text: text.into() }
    }
}

/// A connection without TLS; `near`: it does not leave this machine.
pub(super) fn of_plain_http(near: bool) -> PingFinding {
    if near {
        PingFinding::ok("TLS", "there is none, and nothing leaves this machine")
    } else {
        PingFinding::look(
            "TLS",
            "there is none: over plain http events and token can be read on the way; let uri be https",
        )
    }
}

/// A connection with TLS.
pub(super) fn of_session(session: &Session, forwarder: &Forwarder, now: Timestamp) -> PingFinding {
    const STEP: &str = "TLS";
    let mut text = session.version.to_owned();
    let certificates = session.chain.iter();
    let soonest = certificates.clone().map(|certificate| certificate.until).min();
    if let Some(issuer) = certificates.clone().next().and_then(|certificate| certificate.issuer.as_deref()) {
        text += &format!(", certificate issued by {issuer}");
    }
    let days = soonest.map(|until| (until.as_second() - now.as_second()).div_euclid(DAY));
    if let (Some(until), Some(days)) = (soonest, days) {
        text += &format!(", good until {until} ({days} days)");
    }
    if forwarder.tls.insecure_skip_verify {
        text += "; insecureSkipVerify trusts whoever answers, whatever its certificate: remove it after the trial";
        PingFinding::look(STEP, text)
    } else if days.is_some_and(|days| days < SOON) {
        text += "; deliveries are held once it has expired: the receiver must renew it";
        PingFinding::look(STEP, text)
    } else {
        PingFinding::ok(STEP, text)
    }
}

/// No connection, or no TLS on it.
pub(super) fn of_no_connection(answer: &Answer) -> PingFinding {
    let step = match answer.failure() {
        Some(FailureKind::TlsCertificate | FailureKind::TlsHandshake | FailureKind::Local) => "TLS",
        _ => "connection",
    };
    let what = match judge(answer, &[]) {
        AnswerVerdict::Hold => "deliveries are held until that is mended",
        _ => "deliveries are tried again until it is; does it listen there, and do firewalls let us through?",
    };
    PingFinding::failed(step, format!("{answer}; {what}"))
}

/// What was answered to the event as it would be sent; and, where that was refused and compressed, to the same without
/// compression.
pub(super) fn of_answers(
    forwarder: &Forwarder,
    answer: &Answer,
    took: Duration,
    plain: Option<&Answer>,
) -> Vec<PingFinding> {
    let verdict = judge(answer, &forwarder.responses);
    let plain_taken = plain.filter(|plain| judge(plain, &forwarder.responses) == AnswerVerdict::Delivered);
    match (verdict, plain_taken) {
        (AnswerVerdict::Delivered, _) => {
            vec![not_refused(forwarder), compression(forwarder), round_trip(forwarder, answer, took)]
        }
        (AnswerVerdict::Unauthorized, _) => vec![unauthorized(forwarder, answer)],
        (_, Some(plain)) => vec![
            not_refused(forwarder),
            PingFinding::failed(
                "gzip",
                format!(
                    "{answer}; the same uncompressed: {plain}; events would end in the dead letters and then be held: set \
                     compression: none, or contentEncoding to the word that it knows"
                ),
            ),
        ],
        (verdict, None) => vec![PingFinding::failed("event", format!("{answer}; {}", advice(verdict, answer)))],
    }
}

fn not_refused(forwarder: &Forwarder) -> PingFinding {
    let text = match &forwarder.auth {
        Auth::None => "none is configured, and none was asked for",
        Auth::Token { .. } => "our token was sent and not refused",
        Auth::Basic { .. } => "our user and password were sent and not refused",
        Auth::OAuth2(_) => "a token was fetched, sent and not refused",
    };
    PingFinding::ok("authentication", text)
}

fn compression(forwarder: &Forwarder) -> PingFinding {
    let text = match forwarder.compression {
        Compression::None => "bodies are not compressed",
        Compression::Gzip(_) => "the compressed body was taken",
    };
    PingFinding::ok("gzip", text)
}

fn round_trip(forwarder: &Forwarder, answer: &Answer, took: Duration) -> PingFinding {
    const STEP: &str = "event";
    let text = format!("{answer} after {} ms of the {:?} that timeout allows", took.as_millis(), forwarder.timeout);
    if took * 2 > forwarder.timeout {
        let why = "a batch takes longer than one event, and what is not answered in time is sent again: raise timeout, \
                   or lower batch.maxEvents";
        PingFinding::look(STEP, format!("{text}; {why}"))
    } else {
        PingFinding::ok(STEP, text)
    }
}

fn unauthorized(forwarder: &Forwarder, answer: &Answer) -> PingFinding {
    let what = match (&forwarder.auth, answer.code()) {
        (_, Some(407)) => "a proxy on the way wants to know us, and we use none: go past it",
        (Auth::None, _) => "it wants to know who we are: set token, tokenFile or auth",
        (_, Some(403)) => "it may know us and not let us: look at the rights of our token, and at lists of addresses",
        (Auth::Token { .. }, _) => "put the right token into token or tokenFile; auth sets another header or scheme",
        (Auth::Basic { .. }, _) => "put the right user and password into auth.basic",
        (Auth::OAuth2(_), _) => "its issuer gave us a token that it does not take: look at scope and audience",
    };
    PingFinding::failed("authentication", format!("{answer}; deliveries would be held: {what}"))
}

fn advice(verdict: AnswerVerdict, answer: &Answer) -> &'static str {
    match (verdict, answer.code(), answer.failure()) {
        (AnswerVerdict::Narrow, ..) => {
            "one event is what it refuses; where it knows only events of its own kinds this says nothing of real ones \
             (see `auditpost explain`), else look at format, framing, contentType and profile"
        }
        (AnswerVerdict::Halve, ..) => {
            "even one small event is too large for it, or for a proxy before it: look at its limit"
        }
        (AnswerVerdict::Hold, Some(300..=399), _) => {
            "deliveries would be held: redirects are never followed, so put the final address into uri"
        }
        (AnswerVerdict::Hold, Some(404 | 410), _) => "deliveries would be held: is the path of uri right?",
        (AnswerVerdict::Hold, Some(405), _) => "deliveries would be held: does it want another method?",
        (AnswerVerdict::Hold, ..) => "deliveries would be held until that is mended",
        (_, _, Some(FailureKind::Timeout)) => {
            "every batch would be sent again for ever: if it needs so long, raise timeout above that"
        }
        (_, Some(429), _) => "deliveries would be slowed down; it may be well later",
        _ => "deliveries would be tried again until it is well: look at the receiver",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::load_text, forwarder::deliver::Certificate};

    fn forwarder(more: &str) -> Forwarder {
        let text =
            format!("sources: [{{name: a, include: [/a]}}]\nforwarders: [{{uri: 'https://siem.test/x', {more}}}]");
        let config = load_text("config.yaml", &text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        config.forwarders.into_iter().next().expect("there is one")
    }

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None, excerpt: String::new(), premature: false }
    }

    fn marks(findings: &[PingFinding]) -> Vec<(&'static str, PingMark)> {
        findings.iter().map(|finding| (finding.step, finding.mark)).collect()
    }

    #[test]
    fn each_refusal_names_the_key_that_mends_it() {
        let timeout = Answer::Failed { kind: FailureKind::Timeout, text: "no answer within 5s".to_owned() };
        for (more, answer, step, names) in [
            ("token: t", status(401), "authentication", "tokenFile"),
            ("", status(401), "authentication", "tokenFile or auth"),
            ("token: t", status(403), "authentication", "rights"),
            ("auth: {basic: {username: u, password: p}}", status(401), "authentication", "auth.basic"),
            ("", status(307), "event", "final address into uri"),
            ("", status(404), "event", "path of uri"),
            ("", status(405), "event", "method"),
            ("", status(413), "event", "limit"),
            ("", status(422), "event", "contentType"),
            ("", status(503), "event", "look at the receiver"),
            ("", timeout, "event", "raise timeout"),
        ] {
            let findings = of_answers(&forwarder(more), &answer, Duration::ZERO, None);
            assert_eq!(marks(&findings), [(step, PingMark::Failed)], "{answer}");
            assert!(findings[0].text.contains(names), "{answer}: {}", findings[0].text);
            assert!(findings[0].text.starts_with(&answer.to_string()));
        }
    }

    #[test]
    fn gzip_is_to_blame_only_where_the_same_is_taken_without() {
        let of = |plain| of_answers(&forwarder(""), &status(415), Duration::ZERO, Some(&status(plain)));
        assert_eq!(marks(&of(200)), [("authentication", PingMark::Ok), ("gzip", PingMark::Failed)]);
        assert!(of(200)[1].text.contains("compression: none"));
        assert_eq!(marks(&of(415)), [("event", PingMark::Failed)]);
    }

    #[test]
    fn an_answer_that_takes_more_than_half_of_the_timeout_is_worth_a_look() {
        for (took, mark) in [(2_500, PingMark::Ok), (2_501, PingMark::Look)] {
            let findings = of_answers(&forwarder(""), &status(200), Duration::from_millis(took), None);
            assert_eq!(findings.last().map(|finding| (finding.step, finding.mark)), Some(("event", mark)), "{took}");
        }
    }

    #[test]
    fn the_certificate_that_ends_first_counts() {
        let now = Timestamp::constant(0, 0);
        let certificate = |days: i64| Certificate { until: Timestamp::constant(days * DAY, 0), issuer: None };
        for (days, mark) in [(13, PingMark::Look), (14, PingMark::Ok)] {
            let session = Session { version: "1.3", chain: vec![certificate(90), certificate(days)] };
            let finding = of_session(&session, &forwarder(""), now);
            assert_eq!(finding.mark, mark, "{}", finding.text);
            assert!(finding.text.contains(&format!("({days} days)")), "{}", finding.text);
        }
        let trial = forwarder("tls: {insecureSkipVerify: true}");
        let session = Session { version: "1.2", chain: vec![certificate(90)] };
        assert_eq!(of_session(&session, &trial, now).mark, PingMark::Look);
        assert_eq!((of_plain_http(false).mark, of_plain_http(true).mark), (PingMark::Look, PingMark::Ok));
    }
}
