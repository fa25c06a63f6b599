//! `auditpost ping`: would each forwarder's receiver take its events?
//!
//! Each step of the way is tried and told: name resolution, connection and TLS, and then one marked event through the same
//! encoder and client as `run` uses. Nothing of the state directory is touched, so it may run beside an instance.

mod findings;

use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use findings::{PingFinding, PingMark, of_answers, of_session};
use jiff::Timestamp;
use serde_json::json;

use super::{
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
    state_dir,
};
use crate::{
    config::{self, AnswerVerdict, Compression, Forwarder},
    forwarder::{
        batch::{BatchBody, BodyFrame, BodyLimits},
        compress::Compressor,
        deliver::{Request, WebhookClient},
        encode::EventWriter,
        judge::{Answer, judge},
    },
    log::{SegmentId, SegmentRange},
    schema::Checker,
};

#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// The configuration
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Only this forwarder; may be repeated
    #[arg(long, value_name = "NAME")]
    forwarder: Vec<String>,
}

/// Exit status 0 where every receiver took the event, 69 where one did not.
pub fn run(args: &PingArgs) -> Exit {
    let config = match state_dir::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    report(|out| {
        let chosen = chosen(&config.forwarders, &args.forwarder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // All at once, so that dead ones are waited for once; told in the configuration's order.
        let asked: Vec<_> = chosen.iter().map(|forwarder| runtime.spawn(ping((*forwarder).clone()))).collect();
        let mut bad = 0;
        for (forwarder, asked) in chosen.iter().zip(asked) {
            let findings =
                runtime.block_on(asked).map_err(|error| Failure::Told(Exit::Software, error.to_string()))?;
            bad += usize::from(findings.iter().any(|finding| finding.mark == PingMark::Failed));
            print_findings(forwarder, &findings, out)?;
            out.flush()?;
        }
        writeln!(out, "{} of {} receivers take events", chosen.len() - bad, chosen.len())?;
        // A resolver that hangs must not keep us.
        runtime.shutdown_background();
        Ok(if bad == 0 { Exit::Ok } else { Exit::Unavailable })
    })
}

fn chosen<'c>(all: &'c [Forwarder], names: &[String]) -> Result<Vec<&'c Forwarder>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|forwarder| forwarder.name == **name)) {
        let known: Vec<&str> = all.iter().map(|forwarder| forwarder.name.as_str()).collect();
        let text = format!("no forwarder is called {}; there are {}", printable(unknown), known.join(", "));
        return Err(Failure::usage(text));
    }
    Ok(all.iter().filter(|forwarder| names.is_empty() || names.contains(&forwarder.name)).collect())
}

fn print_findings(forwarder: &Forwarder, findings: &[PingFinding], out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "forwarder {}", forwarder.name)?;
    for PingFinding { mark, step, text } in findings {
        writeln!(out, "  {:<6} {step}: {}", mark.word(), printable(text))?;
    }
    writeln!(out)
}

/// What was found on the way to one receiver; it ends at the first step that makes the next one pointless.
async fn ping(forwarder: Forwarder) -> Vec<PingFinding> {
    let webhook = match WebhookClient::new(&forwarder) {
        Ok(webhook) => webhook.for_test(),
        Err(error) => return vec![PingFinding::failed("configuration", error.to_string())],
    };
    let mut findings = Vec::new();
    let addresses = match webhook.resolve().await {
        Ok(addresses) => addresses,
        Err(answer) => {
            findings.push(PingFinding::failed(
                "name",
                format!("{answer}; is the host of uri right, and its DNS reachable?"),
            ));
            return findings;
        }
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    findings.push(PingFinding::ok("name", format!("{} is at {}", webhook.peer(), shown.join(", "))));
    match webhook.connect(&addresses).await {
        Ok(Some(session)) => findings.push(of_session(&session, &forwarder, Timestamp::now())),
        Ok(None) => {
            let near = addresses.iter().all(|address| address.ip().is_loopback());
            findings.push(findings::of_plain_http(near));
        }
        Err(answer) => {
            findings.push(findings::of_no_connection(&answer));
            return findings;
        }
    }
    match Test::new(&forwarder) {
        Ok(test) => findings.extend(test.send(&webhook, &forwarder).await),
        Err(why) => findings.push(PingFinding::failed("event", why)),
    }
    findings
}

/// The marked event, as a body of the forwarder's.
struct Test {
    id: String,
    body: BatchBody,
}

impl Test {
    fn new(forwarder: &Forwarder) -> Result<Self, String> {
        let id = format!("ping-{:032x}", fastrand::u128(..));
        let event = json!({
            "id": id,
            "type": "auditpost.ping",
            "time": format!("{:.3}", Timestamp::now()),
            "outcome": "success",
            "message": "A test of auditpost's: nothing happened. It may be dropped.",
            "forwarder": forwarder.name,
        });
        let line = event.to_string();
        let source = forwarder.sources.first().map_or("auditpost", String::as_str);
        let mut writer = EventWriter::new(forwarder, source);
        let mut checker = Checker::with(config::Schema::Generic, &[], writer.needs(), &[]);
        let event = checker.check(line.as_bytes()).map_err(|invalid| invalid.to_string())?;
        writer.takes(&event).map_err(|invalid| invalid.to_string())?;
        let mut body = BatchBody::new(BodyFrame::of(forwarder));
        let range = SegmentRange { segment: SegmentId(0), start: 0, end: line.len() as u64 };
        let fit = BodyLimits { max_events: 1, max_bytes: usize::MAX };
        if let Some(out) = body.begin_event(&fit) {
            writer.write(&event, out);
        }
        let _ = body.end_event(&fit, range, false);
        body.finish();
        Ok(Self { id, body })
    }

    /// Sends it as it would be sent, and once more without compression where that may be what is refused.
    async fn send(&self, webhook: &WebhookClient, forwarder: &Forwarder) -> Vec<PingFinding> {
        let compressed = forwarder.compression != Compression::None;
        let (answer, took) = match self.send_once(webhook, forwarder.compression, 1).await {
            Ok(answered) => answered,
            Err(why) => return vec![PingFinding::failed("event", why)],
        };
        let plain = match judge(&answer, &forwarder.responses) {
            AnswerVerdict::Narrow if compressed => self.send_once(webhook, Compression::None, 2).await.ok(),
            _ => None,
        };
        of_answers(forwarder, &answer, took, plain.as_ref().map(|(answer, _)| answer))
    }

    async fn send_once(
        &self,
        webhook: &WebhookClient,
        compression: Compression,
        attempt: u32,
    ) -> Result<(Answer, Duration), String> {
        let wire: Bytes =
            Compressor::new(compression).compress(self.body.bytes()).map_err(|error| error.to_string())?;
        let request = Request {
            batch_id: &self.id,
            number: 0,
            events: 1,
            attempt,
            body: wire,
            compressed: compression != Compression::None,
            origin: None,
        };
        let begun = Instant::now();
        Ok((webhook.send(request).await, begun.elapsed()))
    }
}
