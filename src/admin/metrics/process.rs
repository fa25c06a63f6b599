//! What is told of the process as a whole: version, start, health and alarms.

use std::fmt;

use prometheus_client::{encoding::DescriptorEncoder, metrics::MetricType::Gauge};

use super::put;
use crate::{VERSION, admin::Registry};

pub(super) fn encode(registry: &Registry, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut info = encoder.encode_descriptor("auditpost_build_info", "1, with the version that runs", None, Gauge)?;
    put(&mut info, Gauge, &[("version", VERSION)], 1)?;
    let (name, help) = ("auditpost_start_time_seconds", "When the process started");
    let mut start = encoder.encode_descriptor(name, help, None, Gauge)?;
    start.encode_gauge(&(registry.started.as_millisecond() as f64 / 1000.0))?;
    health(registry, encoder)?;
    // Without the text: it would make a series of each.
    let help = "1 for each alarm that is raised; /status has its text";
    let mut alarms = encoder.encode_descriptor("auditpost_alarms", help, None, Gauge)?;
    for alarm in registry.alarms.raised() {
        let object = alarm.subject.to_string();
        put(&mut alarms, Gauge, &[("kind", alarm.kind.name()), ("object", object.as_str())], 1)?;
    }
    Ok(())
}

fn health(registry: &Registry, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("auditpost_ready", "1 for each condition of /readyz that is met, 0 for one that is not");
    let mut ready = encoder.encode_descriptor(name, help, None, Gauge)?;
    for (condition, met) in registry.health.conditions() {
        put(&mut ready, Gauge, &[("condition", condition)], met.into())?;
    }
    let (name, help) = ("auditpost_stuck_loops", "Loops that do not turn; above 0 /livez answers 503");
    let mut stuck = encoder.encode_descriptor(name, help, None, Gauge)?;
    stuck.encode_gauge(&i64::try_from(registry.health.stuck().len()).unwrap_or(i64::MAX))
}
