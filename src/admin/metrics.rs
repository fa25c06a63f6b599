//! `/metrics` in the OpenMetrics text format.
//!
//! Each forwarder is asked once a scrape, under one lock, so its numbers in a scrape are of one moment and
//! `read = delivered + filtered + dead_lettered + gap + in_flight` holds in every scrape.

mod process;

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry,
};

use super::{Registry, status::age_seconds};
use crate::{
    forwarder::stats::{ForwarderState, GapCounts, Histogram, Snapshot, SourceSnapshot},
    source::stats::{IntakeRefusal, SourceStats},
};

/// The `Content-Type` of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole page.
pub fn render(registry: &Arc<Registry>) -> Result<String, fmt::Error> {
    let mut metrics = registry::Registry::default();
    metrics.register_collector(Box::new(MetricsCollector(registry.clone())));
    let mut page = String::new();
    text::encode(&mut page, &metrics)?;
    Ok(page)
}

#[derive(Debug)]
struct MetricsCollector(Arc<Registry>);

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let forwarders: Vec<(String, Snapshot)> =
            self.0.forwarders().iter().map(|stats| (stats.name().to_owned(), stats.snapshot())).collect();
        let mut page = Page { encoder: &mut encoder, forwarders: &forwarders, now: Timestamp::now() };
        page.books()?;
        page.backlog()?;
        page.states()?;
        page.requests()?;
        page.batches()?;
        self.sources(&mut encoder)?;
        self.spools(&mut encoder)?;
        process::encode(&self.0, &mut encoder)
    }
}

impl MetricsCollector {
    fn sources(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sources = self.0.sources();
        let mut family = |kind, name, help, value: fn(&SourceStats) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            // Zero files would be an alarm for a source that has none by its kind.
            let follows = |source: &&Arc<SourceStats>| !name.starts_with("auditpost_files") || source.has_scanned();
            for source in sources.iter().filter(follows) {
                put(&mut family, kind, &[("source", source.name())], value(source))?;
            }
            Ok(())
        };
        family(MetricType::Gauge, "auditpost_files_open", "Files that a source holds open", SourceStats::files_open)?;
        family(
            MetricType::Gauge,
            "auditpost_files_matched",
            "Files that matched a source's paths in the last scan",
            SourceStats::files_matched,
        )?;
        family(
            MetricType::Counter,
            "auditpost_truncations",
            "Files that became shorter or were rewritten in place",
            SourceStats::truncations,
        )?;
        family(
            MetricType::Gauge,
            "auditpost_source_connections",
            "Connections of clients that are open",
            SourceStats::connections,
        )?;
        let help = "What was sent to a source and not taken";
        let mut family = encoder.encode_descriptor("auditpost_source_refused", help, None, MetricType::Counter)?;
        for (source, reason) in sources.iter().flat_map(|source| IntakeRefusal::ALL.map(|reason| (source, reason))) {
            let labels = [("source", source.name()), ("reason", reason.name())];
            match source.refused(reason) {
                0 => {}
                times => put(&mut family, MetricType::Counter, &labels, times)?,
            }
        }
        Ok(())
    }

    fn spools(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sources = self.0.sources();
        let spools = || sources.iter().filter_map(|source| Some((source.name(), source.spool()?)));
        let help = "Bytes that a source's spool holds for forwarders that are not past them";
        let mut family = encoder.encode_descriptor("auditpost_spool_bytes", help, None, MetricType::Gauge)?;
        for (source, (used, _)) in spools() {
            put(&mut family, MetricType::Gauge, &[("source", source)], used)?;
        }
        let help = "Bytes that the spool may hold: maxBytes of the source";
        let mut family = encoder.encode_descriptor("auditpost_spool_limit_bytes", help, None, MetricType::Gauge)?;
        for (source, (_, limit)) in spools() {
            put(&mut family, MetricType::Gauge, &[("source", source)], limit)?;
        }
        Ok(())
    }
}

/// One scrape of the forwarders on its way out.
struct Page<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
    forwarders: &'a [(String, Snapshot)],
    now: Timestamp,
}

impl Page<'_, '_> {
    fn books(&mut self) -> fmt::Result {
        use MetricType::{Counter, Gauge};
        self.of_sources(Counter, "auditpost_events_read", "Events read, and one for each gap", |source| {
            source.books.read()
        })?;
        self.of_sources(Counter, "auditpost_bytes_read", "Bytes of the events read", |source| {
            source.books.bytes_read()
        })?;
        self.results()?;
        self.rules()?;
        self.of_sources(
            Counter,
            "auditpost_unknown_gaps",
            "Gaps of which nobody knows how large they are: files that vanished while they were not held",
            |source| source.books.unknown_gaps(),
        )?;
        self.gaps()?;
        self.of_sources(Gauge, "auditpost_events_in_flight", "Events read and not yet settled", |source| {
            source.books.in_flight()
        })?;
        self.of_sources(
            Counter,
            "auditpost_cef_values_cut",
            "Values cut to the length that their CEF key holds; they are whole under a key of ours",
            |source| source.books.values_cut(),
        )
    }

    fn results(&mut self) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(
            "auditpost_events",
            "Events settled, by what became of them",
            None,
            MetricType::Counter,
        )?;
        for (forwarder, shown) in self.forwarders {
            for SourceSnapshot { source, books, .. } in &shown.sources {
                for (result, total) in [
                    ("delivered", books.delivered()),
                    ("filtered", books.filtered()),
                    ("dead_lettered", books.dead_lettered()),
                    ("gap", books.gap()),
                ] {
                    let labels = [("forwarder", forwarder.as_str()), ("source", source.as_str()), ("result", result)];
                    put(&mut family, MetricType::Counter, &labels, total)?;
                }
            }
        }
        Ok(())
    }

    /// By reason, of which there are few.
    fn gaps(&mut self) -> fmt::Result {
        type Of = fn(GapCounts) -> u64;
        let families: [(_, _, Of); 2] = [
            ("auditpost_gaps", "Recorded gaps: events are lost", |counts| counts.gaps),
            ("auditpost_gap_bytes", "Bytes in recorded gaps that are known to be lost", |counts| counts.bytes),
        ];
        for (name, help, of) in families {
            let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (forwarder, shown) in self.forwarders {
                for SourceSnapshot { source, books, .. } in &shown.sources {
                    for (cause, counts) in books.gaps().by_cause() {
                        let labels = [
                            ("forwarder", forwarder.as_str()),
                            ("source", source.as_str()),
                            ("reason", cause.name()),
                        ];
                        put(&mut family, MetricType::Counter, &labels, of(counts))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// By rule, of which a configuration has few.
    fn rules(&mut self) -> fmt::Result {
        let (name, help) = ("auditpost_filtered", "Events that a forwarder's rules kept back, by the rule");
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (forwarder, shown) in self.forwarders {
            for SourceSnapshot { source, filtered, .. } in &shown.sources {
                for (rule, events) in filtered.iter() {
                    let rule = rule.name();
                    let labels =
                        [("forwarder", forwarder.as_str()), ("source", source.as_str()), ("rule", rule.as_ref())];
                    put(&mut family, MetricType::Counter, &labels, events)?;
                }
            }
        }
        Ok(())
    }

    fn backlog(&mut self) -> fmt::Result {
        let now = self.now;
        self.of_sources(
            MetricType::Gauge,
            "auditpost_backlog_bytes",
            "Bytes behind the cursor that are not settled",
            |source| source.backlog_bytes,
        )?;
        self.of_sources(
            MetricType::Gauge,
            "auditpost_oldest_unsettled_age_seconds",
            "Age of the oldest event that is not settled; 0 where all is",
            |source| source.oldest_unsettled.map_or(0, |since| age_seconds(since, now)),
        )
    }

    /// One number for each forwarder and source.
    fn of_sources(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        value: impl Fn(&SourceSnapshot) -> u64,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (forwarder, shown) in self.forwarders {
            for source in &shown.sources {
                let labels = [("forwarder", forwarder.as_str()), ("source", source.source.as_str())];
                put(&mut family, kind, &labels, value(source))?;
            }
        }
        Ok(())
    }

    fn states(&mut self) -> fmt::Result {
        let mut successes = self.encoder.encode_descriptor(
            "auditpost_last_success_timestamp_seconds",
            "When a batch was last delivered; absent before the first",
            None,
            MetricType::Gauge,
        )?;
        for (name, shown) in self.forwarders {
            if let Some(at) = shown.last_success {
                let labels = [("forwarder", name.as_str())];
                let seconds = at.as_millisecond() as f64 / 1000.0;
                successes.encode_family(&labels)?.encode_gauge(&seconds)?;
            }
        }
        let mut states = self.encoder.encode_descriptor(
            "auditpost_forwarder_state",
            "1 for the state that the forwarder is in, 0 for the others",
            None,
            MetricType::Gauge,
        )?;
        for (name, shown) in self.forwarders {
            for state in ForwarderState::ALL {
                let labels = [("forwarder", name.as_str()), ("state", state.name())];
                let is = u64::from(state == shown.state);
                put(&mut states, MetricType::Gauge, &labels, is)?;
            }
        }
        Ok(())
    }

    fn requests(&mut self) -> fmt::Result {
        let mut requests = self.encoder.encode_descriptor(
            "auditpost_requests",
            "Requests that ended, by status or failure",
            None,
            MetricType::Counter,
        )?;
        for (name, shown) in self.forwarders {
            for (code, durations) in &shown.requests {
                let labels = [("forwarder", name.as_str()), ("code", code.as_str())];
                put(&mut requests, MetricType::Counter, &labels, durations.count())?;
            }
        }
        let mut durations = self.encoder.encode_descriptor(
            "auditpost_request_duration_seconds",
            "Time of a request from connecting to the end of the answer",
            None,
            MetricType::Histogram,
        )?;
        for (name, shown) in self.forwarders {
            for (code, histogram) in &shown.requests {
                let labels = [("forwarder", name.as_str()), ("code", code.as_str())];
                distribution(&mut durations, &labels, histogram)?;
            }
        }
        Ok(())
    }

    fn batches(&mut self) -> fmt::Result {
        let mut events = self.encoder.encode_descriptor(
            "auditpost_batch_events",
            "Events a batch",
            None,
            MetricType::Histogram,
        )?;
        for (name, shown) in self.forwarders {
            let labels = [("forwarder", name.as_str())];
            distribution(&mut events, &labels, &shown.batch_events)?;
        }
        let mut bytes = self.encoder.encode_descriptor(
            "auditpost_batch_bytes",
            "Bytes a batch, before compression (raw) and as sent (wire)",
            None,
            MetricType::Histogram,
        )?;
        for (name, shown) in self.forwarders {
            for (kind, histogram) in [("raw", &shown.batch_raw_bytes), ("wire", &shown.batch_wire_bytes)] {
                let labels = [("forwarder", name.as_str()), ("kind", kind)];
                distribution(&mut bytes, &labels, histogram)?;
            }
        }
        Ok(())
    }
}

/// One sample. The text format adds `_total` to a counter's name.
fn put(family: &mut MetricEncoder<'_>, kind: MetricType, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    let mut sample = family.encode_family(labels)?;
    match kind {
        MetricType::Counter => sample.encode_counter::<NoLabelSet, u64, f64>(&value, None),
        _ => sample.encode_gauge(&value),
    }
}

fn distribution(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, histogram: &Histogram) -> fmt::Result {
    family.encode_family(labels)?.encode_histogram::<NoLabelSet>(
        histogram.sum(),
        histogram.count(),
        &histogram.buckets(),
        None,
    )
}
