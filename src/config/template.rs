//! What an event is wrapped in: a text with places in it for the event and what is known of it.
//!
//! | place | becomes |
//! |---|---|
//! | `%json%` | the event byte for byte; as a JSON string where it is no JSON (CEF, lines of schema raw) |
//! | `%text%` | the event as a JSON string, its quotes included |
//! | `%source%` | the source's name, without quotes: it needs no escape |
//! | `%time.s%`, `%time.ms%`, `%time.ns%` | the event's own time since 1970: `1787130841.216`, `1787130841216`, …; 0 where it has none |
//! | `%if.time%` … `%end%` | what stands between them, where the event has a time |
//! | `%%` | a percent sign |
//!
//! The time is the event's and never the clock's, so that an event that is sent again has the same bytes.

use std::io::Write;

use super::nearest::nearest;

const PLACES: [&str; 8] = ["json", "text", "source", "time.s", "time.ms", "time.ns", "if.time", "end"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrapTemplate {
    text: String,
    parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Literal(String),
    Json,
    Text,
    Source,
    /// Since 1970, in units of so many nanoseconds and with so many decimals.
    Time {
        unit: i128,
        decimals: usize,
    },
    /// The next so many parts are left out where the event has no time.
    IfTime(usize),
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub struct TemplateInput<'a> {
    /// The event as the format writes it.
    pub event: &'a str,
    /// Whether that is JSON.
    pub is_json: bool,
    /// The event's time in nanoseconds since 1970.
    pub time: Option<i128>,
    pub source: &'a str,
}

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TemplateFault {
    pub(super) what: String,
    pub(super) near: Option<&'static str>,
}

impl WrapTemplate {
    /// The event alone.
    pub fn bare() -> Self {
        Self { text: "%json%".to_owned(), parts: vec![TemplatePart::Json] }
    }

    pub(super) fn parse(text: &str) -> Result<Self, TemplateFault> {
        let mut parts = Vec::new();
        let mut open = None;
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('%') {
            literal(&mut parts, before);
            let Some((place, behind)) = behind.split_once('%') else {
                return Err(fault("has a single % in it: write %% for a percent sign"));
            };
            rest = behind;
            let time = |unit, decimals| TemplatePart::Time { unit, decimals };
            match place {
                "" => literal(&mut parts, "%"),
                "json" => parts.push(TemplatePart::Json),
                "text" => parts.push(TemplatePart::Text),
                "source" => parts.push(TemplatePart::Source),
                "time.s" => parts.push(time(1_000_000_000, 3)),
                "time.ms" => parts.push(time(1_000_000, 0)),
                "time.ns" => parts.push(time(1, 0)),
                "if.time" if open.is_none() => {
                    open = Some(parts.len());
                    parts.push(TemplatePart::IfTime(0));
                }
                "if.time" => return Err(fault("has an %if.time% within another")),
                "end" => {
                    let Some(begun) = open.take() else {
                        return Err(fault("has an %end% without an %if.time% before it"));
                    };
                    parts[begun] = TemplatePart::IfTime(parts.len() - begun - 1);
                    // What follows must not be taken into the section's last literal.
                    parts.push(TemplatePart::Literal(String::new()));
                }
                other => {
                    let near = nearest(other, PLACES);
                    let what = format!("has no such place as %{other}%: there are {}", PLACES.map(quoted).join(", "));
                    return Err(TemplateFault { what, near });
                }
            }
        }
        literal(&mut parts, rest);
        match open {
            Some(_) => Err(fault("has an %if.time% without an %end%")),
            None => Ok(Self { text: text.to_owned(), parts }),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the event's time must be known.
    pub fn uses_time(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Time { .. } | TemplatePart::IfTime(_)))
    }

    /// Whether the event itself has a place in it.
    pub(super) fn holds_the_event(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Json | TemplatePart::Text))
    }

    pub fn fill(&self, filling: &TemplateInput<'_>, out: &mut Vec<u8>) {
        let mut skip = 0;
        for part in &self.parts {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            match part {
                TemplatePart::Literal(text) => out.extend_from_slice(text.as_bytes()),
                TemplatePart::Json if filling.is_json => out.extend_from_slice(filling.event.as_bytes()),
                TemplatePart::Json | TemplatePart::Text => {
                    serde_json::to_writer(&mut *out, filling.event).expect("a Vec takes every write");
                }
                TemplatePart::Source => out.extend_from_slice(filling.source.as_bytes()),
                TemplatePart::Time { unit, decimals } => time(filling.time.unwrap_or(0), *unit, *decimals, out),
                TemplatePart::IfTime(parts) if filling.time.is_none() => skip = *parts,
                TemplatePart::IfTime(_) => {}
            }
        }
    }
}

fn literal(parts: &mut Vec<TemplatePart>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(TemplatePart::Literal(before)) => before.push_str(text),
        _ => parts.push(TemplatePart::Literal(text.to_owned())),
    }
}

fn fault(what: &str) -> TemplateFault {
    TemplateFault { what: what.to_owned(), near: None }
}

fn quoted(place: &str) -> String {
    format!("%{place}%")
}

/// What is finer than the unit's decimals is cut off.
fn time(nanos: i128, unit: i128, decimals: usize, out: &mut Vec<u8>) {
    let written = if decimals == 0 {
        write!(out, "{}", nanos.div_euclid(unit))
    } else {
        let scale = 10i128.pow(decimals as u32);
        let scaled = nanos.div_euclid(unit / scale);
        let sign = if scaled < 0 { "-" } else { "" };
        let scaled = scaled.abs();
        write!(out, "{sign}{}.{:0decimals$}", scaled / scale, scaled % scale)
    };
    written.expect("a Vec takes every write");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"a":"b\"\u00e9"}"#;

    fn filled(template: &str, filling: TemplateInput<'_>) -> String {
        let mut out = Vec::new();
        WrapTemplate::parse(template).unwrap().fill(&filling, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn with(time: Option<i128>) -> TemplateInput<'static> {
        TemplateInput { event: EVENT, is_json: true, time, source: "app-1" }
    }

    #[test]
    fn every_place_is_filled() {
        let time = with(Some(1_787_130_841_216_987_654));
        for (template, expected) in [
            ("%json%", EVENT.to_owned()),
            ("%text%", serde_json::to_string(EVENT).unwrap()),
            (r#"{"s":"%source%","n":"100 %%"}"#, r#"{"s":"app-1","n":"100 %"}"#.to_owned()),
            ("%time.s% %time.ms% %time.ns%", "1787130841.216 1787130841216 1787130841216987654".to_owned()),
            ("a%if.time%,%time.ms%%end%b", "a,1787130841216b".to_owned()),
        ] {
            assert_eq!(filled(template, time), expected, "{template}");
        }
    }

    #[test]
    fn where_there_is_no_time_the_section_is_left_out_and_a_bare_place_is_0() {
        assert_eq!(filled("a%if.time%,%time.ms%%json%%end%b%json%", with(None)), format!("ab{EVENT}"));
        assert_eq!(filled("%time.s% %time.ns%", with(None)), "0.000 0");
        assert_eq!(filled("[%if.time%1%end%%if.time%2%end%3]", with(None)), "[3]");
        assert_eq!(filled("[%if.time%1%end%%if.time%2%end%3]", with(Some(0))), "[123]");
    }

    #[test]
    fn times_before_1970_are_numbers_too() {
        assert_eq!(filled("%time.s% %time.ms%", with(Some(-1_500_000_000))), "-1.500 -1500");
        assert_eq!(filled("%time.s%", with(Some(-1_000_000))), "-0.001");
    }

    #[test]
    fn what_is_no_json_is_a_string_at_either_place() {
        let cef = TemplateInput { event: "CEF:0|a\\|b|\"\u{1}", is_json: false, time: None, source: "s" };
        let expected = r#""CEF:0|a\\|b|\"\u0001""#;
        assert_eq!((filled("%json%", cef).as_str(), filled("%text%", cef).as_str()), (expected, expected));
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_nearest_place() {
        let fault = |text: &str| WrapTemplate::parse(text).unwrap_err();
        assert_eq!(fault("{%jsn%}").near, Some("json"));
        assert_eq!(fault("%time%").near, Some("time.s"));
        for (text, words) in [
            ("50 %", "single %"),
            ("%end%", "without an %if.time%"),
            ("%if.time%", "without an %end%"),
            ("%if.time%%if.time%%end%%end%", "within another"),
        ] {
            assert!(fault(text).what.contains(words), "{text}: {:?}", fault(text));
        }
    }
}
