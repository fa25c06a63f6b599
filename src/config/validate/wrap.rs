//! The rules of `json.wrap`: what is written must make JSON, whatever the event.

use serde::de::IgnoredAny;

use super::{
    super::{Framing, TemplateInput, Wrap, WrapTemplate, path::Path, report::Report, written},
    profile::WrapText,
};

/// An event that no slip with quotes or braces survives.
const SAMPLE: &str = r#"{"a":"\"b\\","c":[1,{}]}"#;
const SAMPLE_TIME: i128 = 1_787_130_841_216_987_654;

/// The wrap, the written keys over the profile's; `None` where neither has one.
pub(super) fn wrap(
    written: Option<&written::WrittenJson>,
    default: Option<WrapText>,
    framing: Framing,
    path: &Path,
    report: &mut Report,
) -> Option<Wrap> {
    let written = written.and_then(|json| json.wrap.as_ref());
    if written.is_none() && default.is_none() {
        return None;
    }
    let path = path.key("json").key("wrap");
    let none = written::WrittenWrap::default();
    let (written, default) = (written.unwrap_or(&none), default.unwrap_or_default());
    let text = |written: &Option<String>, default: &str| written.clone().unwrap_or_else(|| default.to_owned());
    let event = match text(&written.event, default.event) {
        text if text.is_empty() && written.event.is_none() => WrapTemplate::bare(),
        text => template(&text, &path.key("event"), report)?,
    };
    let keys = ["event", "prefix", "suffix"].map(|key| path.key(key));
    let has_variable = keys.iter().any(|path| report.has_variable(path));
    let wrap = Wrap {
        event,
        prefix: text(&written.prefix, default.prefix),
        suffix: text(&written.suffix, default.suffix),
        has_variable,
    };
    if let Err(what) = makes_json(&wrap, framing) {
        let blamed = keys.into_iter().find(|path| report.is_written(path)).unwrap_or(path);
        report.problem(&blamed, what);
    }
    Some(wrap)
}

fn template(text: &str, path: &Path, report: &mut Report) -> Option<WrapTemplate> {
    match WrapTemplate::parse(text) {
        Ok(template) if template.holds_the_event() => Some(template),
        Ok(_) => {
            report.problem(path, "has no place for the event: it needs %json% or %text%");
            None
        }
        Err(fault) => {
            let near = fault.near.map(|near| format!("%{near}%"));
            report.problem_near(path, fault.what, near.as_deref());
            None
        }
    }
}

/// Tries it with two events, one with a time and one without, in either order.
fn makes_json(wrap: &Wrap, framing: Framing) -> Result<(), String> {
    for times in [[Some(SAMPLE_TIME), None], [None, Some(SAMPLE_TIME)]] {
        let mut events: Vec<String> = Vec::new();
        for time in times {
            let mut event = Vec::new();
            let filling = TemplateInput { event: SAMPLE, is_json: true, time, source: "a-source" };
            wrap.event.fill(&filling, &mut event);
            events.push(String::from_utf8_lossy(&event).into_owned());
        }
        let body = match framing {
            Framing::Lines => events.iter().map(|event| format!("{event}\n")).collect(),
            Framing::Array => format!("[{}]", events.join(",")),
            Framing::Single => events.swap_remove(0),
        };
        let body = format!("{}{body}{}", wrap.prefix, wrap.suffix);
        if let Err(error) = check(&body, framing) {
            let two = if framing == Framing::Single { "" } else { " of two events" };
            return Err(format!("makes no JSON ({}): a body{two} would be {}", reason(&error), shortened(&body)));
        }
    }
    Ok(())
}

/// One value; with framing lines there may be several, as where an action stands before each event.
fn check(body: &str, framing: Framing) -> serde_json::Result<()> {
    if framing == Framing::Lines {
        let mut values = serde_json::Deserializer::from_str(body).into_iter::<IgnoredAny>();
        return values.try_for_each(|value| value.map(drop));
    }
    serde_json::from_str::<IgnoredAny>(body).map(drop)
}

/// What is wrong, without the place.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

fn shortened(body: &str) -> String {
    const MOST: usize = 200;
    let cut: String = body.chars().take(MOST).collect();
    let dots = if cut.len() < body.len() { "…" } else { "" };
    format!("`{}{dots}`", cut.replace('\n', "\\n"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{
        super::{super::written::Profile, profile},
        *,
    };

    fn of(text: WrapText) -> Wrap {
        Wrap {
            event: WrapTemplate::parse(text.event).unwrap(),
            prefix: text.prefix.to_owned(),
            suffix: text.suffix.to_owned(),
            has_variable: false,
        }
    }

    #[test]
    fn the_wrap_of_every_profile_makes_json() {
        use Profile::*;
        let mut wrapped = 0;
        for profile in [SplunkHec, Datadog, ElasticBulk, Loki, Dynatrace, Sentinel, BetterStack] {
            let defaults = profile::defaults(profile);
            if let Some(text) = defaults.wrap {
                makes_json(&of(text), defaults.framing).unwrap_or_else(|why| panic!("{profile:?}: {why}"));
                wrapped += 1;
            }
        }
        assert_eq!(wrapped, 5);
    }

    #[test]
    fn a_wrap_that_depends_on_the_event_or_its_time_is_seen_through() {
        for (event, prefix, framing) in [
            (r#"{"event":"%json%"}"#, "", Framing::Lines),
            (r#"{"event":%json%"#, "", Framing::Lines),
            (r#"{"source":%source%,"event":%json%}"#, "", Framing::Lines),
            (r#"{"a":%json%,%if.time%"t":%time.s%%end%}"#, "", Framing::Lines),
            (r#"{"a":%json% %if.time%"t":1%end%}"#, "", Framing::Single),
            ("{}\n%json%", "", Framing::Array),
            ("%json%", r#"{"events":"#, Framing::Array),
            ("%json%", "{}", Framing::Array),
        ] {
            let wrap = of(WrapText { event, prefix, suffix: "" });
            assert!(makes_json(&wrap, framing).is_err(), "{event} {prefix}");
        }
    }
}
