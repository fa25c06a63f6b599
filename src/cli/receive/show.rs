//! A delivery on the screen: a header line, then a line for each event.
//!
//! What a peer sent can neither steer the terminal nor hide: control characters and those that reorder text are
//! shown as escapes.

use serde_json::Value;

use super::{Delivery, faults::ScriptedAnswer, server::text};
use crate::{admin::human, cli::terminal::escape};

/// How deliveries are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub colours: bool,
    /// Only the header line.
    pub quiet: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Where systems write an event's time.
const TIMES: [&str; 7] = ["time", "timestamp", "Timestamp", "occurredAt", "createdAt", "event_ts", "eventTime"];
/// Where systems write an event's type.
const TYPES: [&str; 7] = ["type", "event_type", "eventType", "action", "event", "name", "EventType"];

impl Style {
    /// The text of a delivery, with its last line end.
    pub(super) fn delivery(self, delivery: &Delivery) -> String {
        let mut out = self.header_line(delivery);
        if !self.quiet {
            for event in &delivery.events {
                out.push_str("  ");
                out.push_str(&self.event(event));
                out.push('\n');
            }
        }
        out
    }

    fn header_line(self, delivery: &Delivery) -> String {
        let header = |name: &str| delivery.headers.get(name).map(text);
        let mut line = self.paint(DIM, &delivery.at.strftime("%H:%M:%S%.3f").to_string());
        let mut word = |word: String| {
            line.push(' ');
            line.push_str(&word);
        };
        if let Some(forwarder) = header("auditpost-forwarder") {
            word(self.paint(BOLD, &escape(&forwarder)));
        }
        if let Some(batch) = header("auditpost-batch") {
            word(format!("batch {}", escape(&batch)));
        }
        match header("webhook-id") {
            Some(id) => word(escape(&id).into_owned()),
            None => word(format!("{} {}", delivery.method, escape(&delivery.uri.to_string()))),
        }
        if let Some(attempt) = header("auditpost-attempt") {
            word(format!("attempt {}", escape(&attempt)));
        }
        let events = delivery.events.len();
        let noun = if events == 1 { "event" } else { "events" };
        word(format!("{} {noun}", human::count(events as u64)));
        word(sizes(delivery));
        if delivery.duplicate {
            word(self.paint(YELLOW, "duplicate"));
        }
        word(self.answer(&delivery.answer));
        line.push('\n');
        line
    }

    fn answer(self, answer: &ScriptedAnswer) -> String {
        match answer {
            ScriptedAnswer::Status { status, why, .. } => {
                let colour = if status.is_success() { GREEN } else { RED };
                let status = self.paint(colour, status.as_str());
                let why = why.as_ref().map(|why| format!(" ({why})"));
                format!("→ {status}{}", why.unwrap_or_default())
            }
            ScriptedAnswer::Hang => format!("→ {}", self.paint(RED, "no answer")),
            ScriptedAnswer::Reset => format!("→ {}", self.paint(RED, "reset")),
        }
    }

    /// Time and type where it has them, then the event on one line.
    fn event(self, event: &[u8]) -> String {
        let raw = String::from_utf8_lossy(event);
        let Ok(value) = serde_json::from_str::<Value>(&raw) else {
            return escape(&raw).into_owned();
        };
        let mut line = String::new();
        let found = |names: &[&str]| {
            let text = names.iter().find_map(|name| value.get(name)?.as_str());
            text.map(|text| escape(text).into_owned())
        };
        if let Some(time) = found(&TIMES) {
            line += &self.paint(DIM, &time);
            line.push(' ');
        }
        if let Some(kind) = found(&TYPES) {
            line += &self.paint(CYAN, &kind);
            line.push(' ');
        }
        if raw.contains(['\n', '\r']) {
            line += &escape(&value.to_string());
        } else {
            line += &escape(&raw);
        }
        line
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `1.2 KB → 10 KB (8.4×)`, or the one size where nothing was compressed.
fn sizes(delivery: &Delivery) -> String {
    let (wire, decoded) = (delivery.wire_bytes, delivery.body.len());
    let wire_text = human::bytes(wire as u64);
    if wire == decoded || wire == 0 {
        return wire_text;
    }
    let ratio = decoded as f64 / wire as f64;
    format!("{wire_text} → {} ({ratio:.1}×)", human::bytes(decoded as u64))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use bytes::Bytes;
    use hyper::{HeaderMap, Method, Uri};
    use jiff::Timestamp;

    use super::*;

    fn delivery(event: &'static str) -> Delivery {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "msg_1"),
            ("auditpost-forwarder", "siem"),
            ("auditpost-batch", "3"),
            ("auditpost-attempt", "2"),
            ("authorization", "Bearer hunter2"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let body = Bytes::from_static(event.as_bytes());
        Delivery {
            at: Timestamp::constant(1_700_000_000, 123_000_000),
            method: Method::POST,
            uri: Uri::from_static("/ingest"),
            headers,
            wire_bytes: body.len() / 2,
            events: vec![body.clone()],
            body,
            duplicate: true,
            answer: ScriptedAnswer::ok(),
        }
    }

    #[test]
    fn a_delivery_is_a_header_line_and_a_line_for_each_event() {
        let style = Style { colours: false, quiet: false };
        let shown = style.delivery(&delivery(r#"{"type":"login","time":"T1","n":  1 }"#));
        assert_eq!(
            shown,
            "22:13:20.123 siem batch 3 msg_1 attempt 2 1 event 18 B → 37 B (2.1×) duplicate → 200\n  \
             T1 login {\"type\":\"login\",\"time\":\"T1\",\"n\":  1 }\n"
        );
        let quiet = Style { quiet: true, ..style };
        assert_eq!(quiet.delivery(&delivery("x")).lines().count(), 1);
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn what_a_peer_sent_cannot_steer_the_terminal() {
        let style = Style { colours: false, quiet: false };
        let shown = style.delivery(&delivery("CEF \x1b[2J\u{9b}1m\u{202e}\u{7f} über"));
        assert!(shown.ends_with("CEF \\u{1b}[2J\\u{9b}1m\\u{202e}\\u{7f} über\n"), "{shown}");
        let decoded = style.delivery(&delivery(r#"{"type":"\u001b[31m"}"#));
        assert!(!decoded.contains('\x1b'), "{decoded}");
        let coloured = Style { colours: true, ..style };
        assert!(coloured.delivery(&delivery("x")).contains("\x1b[32m200\x1b[0m"));
    }
}
