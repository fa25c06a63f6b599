//! `/`: the status for a browser. One document without script, image or other asset; it loads itself again.

use std::fmt::{self, Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::{
    human,
    status::{AlarmStatus, ForwarderStatus, SourceStatus, SpoolUse, Status},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--bad:#c62828;--good:#2e7d32}\
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--good:#81c784}}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
p.sub{opacity:.7;margin:0}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
th{font-weight:600;opacity:.7}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.bad{color:var(--bad)}.good{color:var(--good)}\
td small{display:block;opacity:.75;overflow-wrap:anywhere}\
ul.alarms{border:1px solid var(--bad);border-radius:.4rem;list-style:none;padding:.6rem 1rem}";

/// The `Content-Security-Policy` under which the page works: nothing but its own style.
pub fn content_security_policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The whole document.
pub fn render(status: &Status) -> Result<String, fmt::Error> {
    let mut page = String::new();
    write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><title>auditpost</title>\
         <meta name=viewport content='width=device-width'><meta http-equiv=refresh content=10>\
         <style>{STYLE}</style><h1>auditpost</h1>\
         <p class=sub>version {}, running for {}</p>",
        Escaped(&status.version),
        human::seconds(status.uptime_seconds),
    )?;
    alarms(&mut page, status)?;
    forwarders(&mut page, &status.forwarders)?;
    sources(&mut page, &status.sources)?;
    Ok(page)
}

fn alarms(page: &mut String, status: &Status) -> fmt::Result {
    let (Status { alarms, .. }, health) = (status, [&status.stuck, &status.not_ready]);
    if alarms.is_empty() && health.iter().all(|list| list.is_empty()) {
        return page.write_str("<p class=good>No alarms.</p>");
    }
    page.write_str("<ul class=alarms>")?;
    for sentence in health.into_iter().flatten() {
        write!(page, "<li class=bad>{}</li>", Escaped(sentence))?;
    }
    for AlarmStatus { object, kind, since, text } in alarms {
        write!(
            page,
            "<li><b class=bad>{}: {}</b> {} <small>since {}</small></li>",
            Escaped(object),
            Escaped(kind),
            Escaped(text),
            Escaped(since)
        )?;
    }
    page.write_str("</ul>")
}

fn forwarders(page: &mut String, forwarders: &[ForwarderStatus]) -> fmt::Result {
    page.write_str(
        "<h2>Forwarders</h2><div class=scroll><table><tr><th>Forwarder<th>State<th>Source\
         <th class=n>Backlog<th class=n>Oldest<th class=n>Read<th class=n>Delivered<th class=n>Filtered\
         <th class=n>Dead letters<th class=n>Gaps<th class=n>In flight</tr>",
    )?;
    for forwarder in forwarders {
        for (place, source) in forwarder.sources.iter().enumerate() {
            page.write_str("<tr>")?;
            if place == 0 {
                identity(page, forwarder)?;
            }
            write!(page, "<td>{}", Escaped(&source.source))?;
            cell(page, &human::bytes(source.backlog_bytes), false)?;
            let age = source.oldest_unsettled_age_seconds;
            cell(page, &human::seconds(age), false)?;
            for (number, bad) in [
                (source.read, false),
                (source.delivered, false),
                (source.filtered, false),
                (source.dead_lettered, true),
                (source.gap, true),
                (source.in_flight, false),
            ] {
                cell(page, &human::count(number), bad && number > 0)?;
            }
            page.write_str("</tr>")?;
        }
    }
    page.write_str("</table></div>")
}

/// The cells of a forwarder, beside the rows of its sources.
fn identity(page: &mut String, forwarder: &ForwarderStatus) -> fmt::Result {
    let rows = forwarder.sources.len();
    let colour = if forwarder.state == "ready" { "good" } else { "bad" };
    write!(
        page,
        "<td rowspan={rows}>{}<td rowspan={rows}><span class={colour}>{}</span><small>since {}</small>",
        Escaped(&forwarder.name),
        Escaped(&forwarder.state),
        Escaped(&forwarder.since),
    )?;
    if let Some(reason) = &forwarder.reason {
        write!(page, "<small>{}</small>", Escaped(reason))?;
    }
    if let Some(error) = &forwarder.last_error {
        let (at, text) = (Escaped(&error.at), Escaped(&error.text));
        write!(page, "<small>last error {at}: {text}</small>")?;
    }
    match &forwarder.last_success {
        Some(at) => write!(page, "<small>last success {}</small>", Escaped(at)),
        None => page.write_str("<small>no success yet</small>"),
    }
}

fn cell(page: &mut String, text: &str, bad: bool) -> fmt::Result {
    let class = if bad { "\"n bad\"" } else { "n" };
    write!(page, "<td class={class}>{text}")
}

fn sources(page: &mut String, sources: &[SourceStatus]) -> fmt::Result {
    page.write_str(
        "<h2>Sources</h2><div class=scroll><table><tr><th>Source<th class=n>Files open\
         <th class=n>Files matched<th class=n>Truncations<th class=n>Connections<th class=n>Refused<th class=n>Spool</tr>",
    )?;
    for source in sources {
        write!(page, "<tr><td>{}", Escaped(&source.name))?;
        let SourceStatus { files_open, files_matched, truncations, connections, refused, .. } = *source;
        for number in [files_open, files_matched, truncations, connections, refused] {
            cell(page, &human::count(number), false)?;
        }
        cell(page, &source.spool.as_ref().map_or("none".to_owned(), SpoolUse::to_string), false)?;
        page.write_str("</tr>")?;
    }
    page.write_str("</table></div>")
}

/// Text that a peer or a file may have had a hand in.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        admin::Registry,
        alarm::{AlarmKind, AlarmSubject},
        forwarder::stats::{ForwarderState, ForwarderStats},
    };

    #[test]
    fn what_a_peer_wrote_is_shown_as_text() {
        let now = Timestamp::constant(1_700_000_000, 0);
        let registry = Registry::new(now);
        let siem = ForwarderStats::new("siem", ["app"], now);
        siem.set_state(ForwarderState::Held, Some("<script>alert(1)</script>".to_owned()), now);
        siem.failed("\"><img src=x>", now);
        registry.set_forwarders(vec![Arc::new(siem)]);
        registry.alarms.raise(&AlarmSubject::forwarder("siem"), AlarmKind::Held, "<b>401</b>", now);
        let page = render(&Status::of(&registry, now)).unwrap();
        for markup in ["<script", "<img", "<b>401"] {
            assert!(!page.contains(markup), "{markup} in {page}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        let alarm = page.find("&lt;b&gt;401").unwrap();
        assert!(alarm < page.find("<h2>Forwarders").unwrap(), "alarms come first");
    }
}
