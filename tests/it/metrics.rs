//! A scrape, as numbers that a test can ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What `/metrics` said at one moment.
#[derive(Clone, Default)]
pub struct Metrics(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Metrics {
    /// Reads the Prometheus text format. Panics on a line that is none, and on a series that is there twice.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line:?}"));
            let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line:?}"));
            let previous = metrics.0.insert(parse_series(series), value);
            assert!(previous.is_none(), "a series is there twice: {series}");
        }
        metrics
    }

    /// The one series with exactly these labels; `None` where it is not there.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.0.get(&(name.to_owned(), owned(labels))).copied()
    }

    /// Whether there are no books in it yet.
    pub fn is_empty(&self) -> bool {
        !self.0.keys().any(|(name, _)| name == "auditpost_events_read_total")
    }

    /// The sum of all series of this name that have at least these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = owned(labels);
        let has = |have: &BTreeMap<String, String>| wanted.iter().all(|(key, value)| have.get(key) == Some(value));
        self.0.iter().filter(|((n, have), _)| n == name && has(have)).map(|(_, value)| value).sum()
    }

    /// What became of the events: `result` is `delivered`, `filtered`, `dead_lettered` or `gap`.
    pub fn events(&self, forwarder: &str, result: &str) -> u64 {
        self.sum("auditpost_events_total", &[("forwarder", forwarder), ("result", result)]) as u64
    }

    /// The name of the forwarder's state: `ready`, `open`, `held`, …
    pub fn state(&self, forwarder: &str) -> Option<&str> {
        self.0.iter().find_map(|((name, labels), value)| {
            let this = name == "auditpost_forwarder_state"
                && labels.get("forwarder").is_some_and(|f| f == forwarder)
                && *value == 1.0;
            this.then(|| labels["state"].as_str())
        })
    }

    /// Panics unless read = delivered + filtered + dead-lettered + gap + in flight, for each forwarder and source.
    pub fn assert_books_balance(&self) {
        let pairs: BTreeSet<(&String, &String)> = self
            .0
            .keys()
            .filter(|(name, _)| name == "auditpost_events_read_total")
            .map(|(_, labels)| (&labels["forwarder"], &labels["source"]))
            .collect();
        assert!(!pairs.is_empty(), "no books in this scrape: {self:?}");
        for (forwarder, source) in pairs {
            let of = [("forwarder", forwarder.as_str()), ("source", source.as_str())];
            let read = self.sum("auditpost_events_read_total", &of);
            let settled = self.sum("auditpost_events_total", &of);
            let in_flight = self.sum("auditpost_events_in_flight", &of);
            assert_eq!(read, settled + in_flight, "the books of {of:?} do not balance: {self:?}");
        }
    }

    /// Panics where a counter is lower than in an earlier scrape of the same process.
    pub fn assert_no_counter_below(&self, earlier: &Self) {
        for (series, before) in earlier.0.iter().filter(|((name, _), _)| name.ends_with("_total")) {
            let now = self.0.get(series).unwrap_or_else(|| panic!("{series:?} is gone"));
            assert!(now >= before, "{series:?} went down from {before} to {now}");
        }
    }
}

/// A line for each series that is not zero, without the histograms' buckets.
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((name, labels), value) in &self.0 {
            if *value != 0.0 && !name.ends_with("_bucket") {
                write!(f, "\n  {name}{labels:?} {value}")?;
            }
        }
        Ok(())
    }
}

fn owned(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// `name{key="value",…}`. Names and states hold no quotes or commas, so neither do the labels.
fn parse_series(series: &str) -> (String, BTreeMap<String, String>) {
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new());
    };
    let labels = labels.trim_end_matches('}').split(',').map(|label| {
        let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("not a label: {series:?}"));
        (key.to_owned(), value.trim_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect())
}

#[test]
fn a_scrape_is_read_and_books_that_do_not_balance_are_found() {
    let text = "# TYPE x counter\nauditpost_events_read_total{forwarder=\"a\",source=\"s\"} 5\n\
        auditpost_events_total{forwarder=\"a\",source=\"s\",result=\"delivered\"} 3\n\
        auditpost_events_total{forwarder=\"a\",source=\"s\",result=\"filtered\"} 1\n\
        auditpost_forwarder_state{forwarder=\"a\",state=\"ready\"} 0\n\
        auditpost_forwarder_state{forwarder=\"a\",state=\"held\"} 1\n# EOF\n";
    let metrics = Metrics::parse(text);
    assert_eq!(metrics.events("a", "delivered"), 3);
    assert_eq!(metrics.state("a"), Some("held"));
    assert!(std::panic::catch_unwind(|| metrics.assert_books_balance()).is_err());
    Metrics::parse(&format!("{text}auditpost_events_in_flight{{forwarder=\"a\",source=\"s\"}} 1\n"))
        .assert_books_balance();
}
