//! The profiles of log intakes: what each wants round events and batches, which header it takes a token in, and how
//! much it takes at once. Nothing here is more than defaults of keys.
//!
//! Where a rule was read in the vendor's documentation and never tried against the product, docs/siem.md says so.

use super::{
    super::{Answers, Compression, Framing, written::Profile},
    profile::{Defaults, WrapText},
};

const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain; charset=utf-8");

/// What an event is under a name of its own.
const fn event(event: &'static str) -> Option<WrapText> {
    Some(WrapText { event, prefix: "", suffix: "" })
}

/// `ours` with what the intake wants otherwise.
pub(super) fn defaults(intake: Profile, ours: Defaults) -> Defaults {
    match intake {
        Profile::None | Profile::Konnect | Profile::Chainloop => ours,
        // "Format events for HTTP Event Collector": objects one after the other, not an array; `time` in seconds. About
        // 1 MB a request is advised for Splunk Cloud.
        Profile::SplunkHec => Defaults {
            content_type: JSON,
            wrap: event(r#"{"event":%json%,"source":"%source%"%if.time%,"time":%time.s%%end%}"#),
            token: ("authorization", Some("Splunk")),
            ..ours
        },
        // `services/collector/raw`: lines; sourcetype, index and host are parameters of the uri.
        Profile::SplunkHecRaw => Defaults { content_type: TEXT, token: ("authorization", Some("Splunk")), ..ours },
        // "Upload Logs to an HTTP Source": lines, gzip, 100 KB to 1 MB before compression; the uri is the secret.
        Profile::Sumo => Defaults { content_type: TEXT, ..ours },
        // "Send logs", v2: an array, at most 5 MB and 1000 entries. An entry above 1 MB is cut and still accepted.
        Profile::Datadog => Defaults {
            content_type: JSON,
            framing: Framing::Array,
            wrap: event(r#"{"message":%text%,"ddsource":"auditpost","service":"%source%"}"#),
            token: ("dd-api-key", None),
            max_bytes: 4_000_000,
            ..ours
        },
        // "Bulk API": an action's line before each event, a line end behind the last. A data stream takes `create` alone.
        Profile::ElasticBulk => Defaults {
            content_type: Some("application/x-ndjson"),
            wrap: event("{\"create\":{}}\n%json%"),
            token: ("authorization", Some("ApiKey")),
            max_bytes: 5_000_000,
            answers: Answers::Bulk,
            ..ours
        },
        // "Logs Ingestion API": an array, at most 1 MiB a call, a token of Entra ID.
        Profile::Sentinel => Defaults {
            content_type: JSON,
            framing: Framing::Array,
            scope: Some("https://monitor.azure.com/.default"),
            ..ours
        },
        // "HTTPS webhook" feeds: lines, split at the feed's delimiter; the webhook's access key and an API key.
        Profile::Secops => Defaults {
            content_type: TEXT,
            compression: Compression::None,
            token: ("x-webhook-access-key", None),
            ..ours
        },
        // "HTTP source": at most 1 MB, the headers among it.
        Profile::Panther => Defaults { max_bytes: 900_000, ..ours },
        // `api/v1/ingest/hec/raw`: lines; at most 32 MiB after decoding by default.
        Profile::Logscale => Defaults { content_type: TEXT, ..ours },
        // "Push log entries to Loki": nanoseconds as a string, the line as a string.
        Profile::Loki => Defaults {
            content_type: JSON,
            framing: Framing::Array,
            wrap: Some(WrapText {
                event: r#"["%time.ns%",%text%]"#,
                prefix: r#"{"streams":[{"stream":{"job":"auditpost"},"values":"#,
                suffix: "}]}",
            }),
            ..ours
        },
        // "Ingesting API": lines as application/x-ndjson, or an array.
        Profile::BetterStack => ours,
        // "POST ingest logs" (classic): an array, at most 10 MB and 50,000 records, 8 kB of content each.
        Profile::Dynatrace => Defaults {
            content_type: Some("application/json; charset=utf-8"),
            compression: Compression::None,
            framing: Framing::Array,
            wrap: event(r#"{"content":%text%,"log.source":"%source%"%if.time%,"timestamp":%time.ms%%end%}"#),
            token: ("authorization", Some("Api-Token")),
            max_bytes: 4_000_000,
            ..ours
        },
    }
}
