//! The books of a running auditpost, as its `/metrics` show them at one moment.

use std::collections::BTreeMap;

/// What became of the events of one forwarder and source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ScrapedBooks {
    pub read: u64,
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    pub gap: u64,
    pub in_flight: u64,
}

/// One scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct ScrapedMetrics {
    /// By forwarder and source.
    books: BTreeMap<(String, String), ScrapedBooks>,
    /// Requests that were not answered 2xx, by forwarder.
    failed: BTreeMap<String, u64>,
}

impl ScrapedMetrics {
    /// Reads the Prometheus text format; metrics that are no books are passed over.
    pub(super) fn parse(page: &str) -> Self {
        let mut scrape = Self::default();
        for line in page.lines() {
            scrape.read(line);
        }
        scrape
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{')?;
        let label = |wanted: &str| {
            // Names of forwarders and sources hold no quotes and no commas.
            let mut labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            labels.find(|(key, _)| *key == wanted).map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let (forwarder, value) = (label("forwarder")?, value.parse().ok()?);
        if name == "auditpost_requests_total" && !label("code")?.starts_with('2') {
            *self.failed.entry(forwarder).or_default() += value;
            return Some(());
        }
        let books = self.books.entry((forwarder, label("source")?)).or_default();
        let result = label("result");
        match (name, result.as_deref()) {
            ("auditpost_events_read_total", _) => books.read = value,
            ("auditpost_events_in_flight", _) => books.in_flight = value,
            ("auditpost_events_total", Some("delivered")) => books.delivered = value,
            ("auditpost_events_total", Some("filtered")) => books.filtered = value,
            ("auditpost_events_total", Some("dead_lettered")) => books.dead_lettered = value,
            ("auditpost_events_total", Some("gap")) => books.gap = value,
            _ => {}
        }
        Some(())
    }

    /// Of all sources together.
    pub(super) fn of(&self, forwarder: &str) -> ScrapedBooks {
        let of = self.books.iter().filter(|((name, _), _)| name == forwarder).map(|(_, books)| books);
        of.fold(ScrapedBooks::default(), |sum, books| ScrapedBooks {
            read: sum.read + books.read,
            delivered: sum.delivered + books.delivered,
            filtered: sum.filtered + books.filtered,
            dead_lettered: sum.dead_lettered + books.dead_lettered,
            gap: sum.gap + books.gap,
            in_flight: sum.in_flight + books.in_flight,
        })
    }

    /// Books that do not balance; `None` where there are no books (yet).
    pub(super) fn unbalanced(&self) -> Option<usize> {
        let unbalanced = self.books.values().filter(|books| !books.balance()).count();
        (!self.books.is_empty()).then_some(unbalanced)
    }

    /// Requests of a forwarder that were not answered 2xx.
    pub(super) fn failed_requests(&self, forwarder: &str) -> u64 {
        self.failed.get(forwarder).copied().unwrap_or(0)
    }
}

impl ScrapedBooks {
    /// All that was read is accounted for.
    fn balance(&self) -> bool {
        self.read == self.delivered + self.filtered + self.dead_lettered + self.gap + self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE auditpost_events_read counter\n\
        auditpost_events_read_total{forwarder=\"a\",source=\"s\"} 7\n\
        auditpost_events_read_total{forwarder=\"a\",source=\"t\"} 1\n\
        auditpost_events_total{forwarder=\"a\",source=\"s\",result=\"delivered\"} 3\n\
        auditpost_events_total{forwarder=\"a\",source=\"t\",result=\"gap\"} 1\n\
        auditpost_events_total{forwarder=\"a\",source=\"s\",result=\"filtered\"} 2\n\
        auditpost_events_total{forwarder=\"a\",source=\"s\",result=\"dead_lettered\"} 1\n\
        auditpost_requests_total{forwarder=\"a\",code=\"200\"} 9\n\
        auditpost_requests_total{forwarder=\"a\",code=\"503\"} 2\n\
        auditpost_requests_total{forwarder=\"a\",code=\"timeout\"} 1\n\
        auditpost_files_open{source=\"s\"} 4\n";

    #[test]
    fn books_are_read_summed_and_weighed() {
        let scrape =
            ScrapedMetrics::parse(&format!("{PAGE}auditpost_events_in_flight{{forwarder=\"a\",source=\"s\"}} 1\n"));
        let all = ScrapedBooks { read: 8, delivered: 3, filtered: 2, dead_lettered: 1, gap: 1, in_flight: 1 };
        assert_eq!(scrape.of("a"), all);
        assert_eq!(scrape.of("b"), ScrapedBooks::default());
        assert_eq!((scrape.failed_requests("a"), scrape.failed_requests("b")), (3, 0));
        assert_eq!(scrape.unbalanced(), Some(0));
        assert_eq!(ScrapedMetrics::parse(PAGE).unbalanced(), Some(1), "one event is nowhere");
        assert_eq!(ScrapedMetrics::parse("").unbalanced(), None, "no books are not balanced books");
    }
}
