//! The three ways of a line make the same of it: read for the first time, read again after a restart, explained.

mod input;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;
use tokio::sync::watch;

use self::input::{bytes, written};
use super::explain;
use crate::{
    config::{self, Config, LineFormat, SourceKind, load_text},
    forwarder::{
        batch::{BodyLimits, BodyPool, EventAt, SealedBatch},
        dead_letter::Reason,
        follow::{FollowedSource, ReadOutcome},
        journal::{BatchRecord, Coverage, UnixMillis},
        stats::{Books, FilterRule, Tally},
    },
    log::{
        Cursor, Log, Reader, Segment, SegmentId, SegmentRange, SegmentState, Segments, Unread, identity::OpenFile,
    },
};

const MAX_LINE: usize = 120;

/// What a test case is configured to: keys of the source and of the forwarder.
fn configs() -> impl Strategy<Value = Config> {
    let source = prop_oneof![Just(""), Just("schema: raw"), Just("schema: generic"), Just("onlyJson: true")];
    let format = prop_oneof![
        Just(""),
        Just("framing: array"),
        Just("framing: single"),
        Just("format: cef"),
        Just(
            "json: {wrap: {event: '{\"a\":%json%,\"s\":\"%source%\"}', prefix: '{\"all\":', suffix: '}'}}\n  framing: array"
        ),
    ];
    let rules = prop_oneof![
        Just(""),
        Just("enabledEvents: [login]"),
        Just("disabledEvents: [ping]"),
        Just("where: [{field: /n, in: ['1', '2']}]"),
    ];
    (source, format, rules, any::<bool>()).prop_map(|(source, format, rules, is_cri)| {
        let lines = if is_cri { "format: cri" } else { "" };
        let text = format!(
            "sources:\n- name: app\n  include: [/nowhere/x.log]\n  {lines}\n  {source}\n\
             forwarders:\n- name: siem\n  uri: http://127.0.0.1:9/\n  compression: none\n  {format}\n  {rules}\n"
        );
        let mut config = load_text("test", &text, &|_| None).unwrap_or_else(|problems| panic!("{problems}{text}"));
        config.sources[0].max_event_bytes = MAX_LINE;
        config
    })
}

fn format_of(config: &Config) -> LineFormat {
    match &config.sources[0].kind {
        SourceKind::File(file) => file.format,
        kind => panic!("{kind:?}"),
    }
}

/// The log of a file that grows.
struct Growing {
    _dir: TempDir,
    file: File,
    segment: Arc<Segment>,
    log: Log,
    _publish: watch::Sender<Segments>,
}

impl Growing {
    fn new(format: LineFormat) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop_cart-0_0bd94a6e/app/0.log");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(&path).unwrap();
        let OpenFile { file: opened, stat, .. } = OpenFile::open(&path).unwrap();
        let lineage: Arc<Path> = path.clone().into();
        let (start, id) = (Cursor::default(), SegmentId(1));
        let segment = Arc::new(Segment::new(id, lineage, start, 0, SegmentState::Active, path, stat.key));
        segment.pin(opened);
        let (log, publish) = Log::new("app", "i");
        publish.send_replace(Arc::new(vec![segment.clone()]));
        Self { _dir: dir, file, segment, log: log.in_format(format), _publish: publish }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).unwrap();
        self.segment.grow_to(self.segment.size() + bytes.len() as u64);
    }

    fn follow(&self, config: &Config) -> FollowedSource {
        let (source, forwarder) = (&config.sources[0], &config.forwarders[0]);
        let reader = Reader::new(self.log.clone(), source.max_event_bytes, BTreeMap::new());
        FollowedSource::new(forwarder, source, reader, BodyPool::new(forwarder, 1))
    }
}

/// Reads for the first time, as the file grows to each of `cuts`; where it is told so, a draft ends there too.
fn fresh(
    config: &Config,
    log: &mut Growing,
    bytes: &[u8],
    cuts: &[(usize, bool)],
    fit: &BodyLimits,
) -> (Vec<SealedBatch>, Tally) {
    let mut follow = log.follow(config);
    let mut tally = Tally::default();
    let mut all = Vec::new();
    let mut cuts: Vec<_> = cuts.iter().map(|(cut, flush)| (cut % (bytes.len() + 1), *flush)).collect();
    cuts.sort_unstable();
    cuts.push((bytes.len(), true));
    let (mut at, last) = (0, cuts.len() - 1);
    for (index, (cut, flush)) in cuts.into_iter().enumerate() {
        log.append(&bytes[at..cut]);
        at = cut;
        if index == last {
            log.segment.set_state(SegmentState::Sealed);
        }
        while follow.has_more() {
            match follow.fill(fit, &mut tally) {
                ReadOutcome::Sealed(batch) => all.push(batch),
                ReadOutcome::Gap(range) => panic!("{range:?} is there"),
                ReadOutcome::More | ReadOutcome::CaughtUp => {}
            }
        }
        if flush {
            all.extend(follow.flush());
        }
    }
    (all, tally)
}

fn try_again(config: &Config, log: &Growing, batch: &SealedBatch, tally: &mut Tally) -> Result<SealedBatch, Unread> {
    let outstanding = BatchRecord {
        n: 1,
        id: None,
        source: "app".to_owned(),
        span: batch.span.clone(),
        covers: batch.coverage(),
        counted: true,
        digest: None,
        coding: None,
        at: UnixMillis(0),
    };
    log.follow(config).again(&outstanding, tally)
}

/// All that a batch is, but for the bytes of rejected lines that are held.
#[derive(Debug, PartialEq)]
struct Made {
    body: Vec<u8>,
    events: Vec<EventAt>,
    filtered: Vec<(FilterRule, u64)>,
    rejected: Vec<(SegmentRange, Reason, String)>,
    covers: Coverage,
    origin: bool,
}

impl From<&SealedBatch> for Made {
    fn from(batch: &SealedBatch) -> Self {
        Self {
            body: batch.body.bytes().to_vec(),
            events: batch.body.events().to_vec(),
            filtered: batch.filtered.iter().collect(),
            rejected: batch.rejected.iter().map(|line| (line.range, line.reason, line.detail.clone())).collect(),
            covers: batch.coverage(),
            origin: batch.origin.is_some(),
        }
    }
}

/// A pipe, which gives so many bytes at a time.
struct Pipe<'a>(&'a [u8], usize);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.1.min(self.0.len()).min(buffer.len());
        buffer[..got].copy_from_slice(&self.0[..got]);
        self.0 = &self.0[got..];
        Ok(got)
    }
}

/// What `explain` prints: the bodies of its requests, and its verdicts.
fn explained(config: &Config, bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Vec<String>) {
    let mut printed = Vec::new();
    let path = Path::new("/logs/shop_cart-0_0bd94a6e/app/0.log");
    let told = explain(config, &config.sources[0], path, Pipe(bytes, piece), &mut printed);
    assert!(told.is_ok());
    let find = |text: &[u8], word: &str| text.windows(word.len()).position(|part| part == word.as_bytes());
    let (mut rest, mut bodies, mut verdicts) = (&printed[..], Vec::new(), Vec::new());
    loop {
        let title = find(rest, "\n--- siem, request ");
        let lines = String::from_utf8_lossy(&rest[..title.unwrap_or(rest.len())]).into_owned();
        verdicts.extend(lines.lines().filter_map(|line| line.strip_prefix("  siem  ")).map(str::to_owned));
        let Some(title) = title else { return (bodies, verdicts) };
        rest = &rest[title + 1..];
        let line = String::from_utf8_lossy(&rest[..find(rest, "\n").unwrap()]).into_owned();
        let length = line.rsplit_once(", ").unwrap().1.strip_suffix(" bytes").unwrap().parse::<usize>().unwrap();
        let start = find(rest, "\n\n").unwrap() + 2;
        bodies.push(rest[start..start + length].to_vec());
        rest = &rest[start + length..];
    }
}

/// A body as `explain` shows it, which knows neither the place of a long line in its log nor its hash.
fn as_explained(made: &Made) -> Vec<u8> {
    let mut body = made.body.clone();
    for event in made.events.iter().filter(|event| event.stub) {
        let id = format!("app-i-1-{}", event.range.start);
        let at = body.windows(id.len()).position(|part| part == id.as_bytes()).unwrap();
        body.splice(at..at + id.len(), b"EVENT-ID".iter().copied());
    }
    let is_hash = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    while let Some(at) = body.windows(64).position(is_hash) {
        body.splice(at..at + 64, b"SHA256-OF-THE-LINE".iter().copied());
    }
    body
}

/// Events and bytes that were read.
fn read(tally: &Tally) -> (u64, u64) {
    let mut books = Books::default();
    books.enter(tally);
    (books.read(), books.bytes_read())
}

fn limits() -> impl Strategy<Value = BodyLimits> {
    (1usize..8, prop_oneof![10usize..600, Just(1 << 20)])
        .prop_map(|(max_events, max_bytes)| BodyLimits { max_events, max_bytes })
}

/// The limits as the framing has them.
fn framed(config: &Config, BodyLimits { max_events, max_bytes }: BodyLimits) -> BodyLimits {
    let forwarder = &config.forwarders[0];
    let limits = config::BatchLimits { max_events, max_bytes, ..forwarder.batch };
    BodyLimits::new(&limits, forwarder.framing, None)
}

proptest! {
    // Each case of the second test makes a client of its own, which reads the platform's certificates.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn a_batch_that_is_read_again_is_the_batch_that_was_read(
        config in configs(),
        written in written(),
        mixed in vec(any::<bool>(), 0..60),
        ends: bool,
        cuts in vec((any::<usize>(), any::<bool>()), 0..6),
        fit in limits(),
    ) {
        let bytes = bytes(format_of(&config), &written, &mixed, ends);
        let fit = framed(&config, fit);
        let mut log = Growing::new(format_of(&config));
        let (batches, tally) = fresh(&config, &mut log, &bytes, &cuts, &fit);
        let mut at = 0;
        let mut tally_again = Tally::default();
        for batch in &batches {
            for anchored in &batch.span {
                prop_assert_eq!(anchored.range.start, at);
                at = anchored.range.end;
            }
            let again = try_again(&config, &log, batch, &mut tally_again).unwrap();
            prop_assert_eq!(Made::from(&again), Made::from(batch));
            prop_assert!(again.rejected.iter().all(|line| line.payload.is_none()));
            for line in &*batch.rejected {
                prop_assert_eq!(line.payload.is_none(), line.reason == Reason::LineTooLong);
            }
        }
        prop_assert_eq!(at, bytes.len() as u64);
        prop_assert_eq!(read(&tally), read(&tally_again));
    }

    #[test]
    fn the_requests_that_are_explained_are_those_that_are_made(
        config in configs(),
        written in written(),
        mixed in vec(any::<bool>(), 0..60),
        ends: bool,
        piece in prop_oneof![1usize..50, Just(100_000)],
        fit in limits(),
    ) {
        let mut config = config;
        let bytes = bytes(format_of(&config), &written, &mixed, ends);
        let batches_of = |fit: &BodyLimits| fresh(&config, &mut Growing::new(format_of(&config)), &bytes, &[], fit).0;
        let is_long = |batch: &SealedBatch| batch.rejected.iter().any(|line| line.reason == Reason::LineTooLong);
        let mut fit = framed(&config, fit);
        let mut batches = batches_of(&fit);
        if batches.iter().any(is_long) {
            // Its stub has another length there.
            fit.max_bytes = 1 << 20;
            batches = batches_of(&fit);
        }
        config.forwarders[0].batch.max_events = fit.max_events;
        config.forwarders[0].batch.max_bytes = fit.max_bytes;
        let (bodies, verdicts) = explained(&config, &bytes, piece);
        let made: Vec<Made> = batches.iter().map(Made::from).collect();
        let sent: Vec<_> = made.iter().filter(|made| !made.events.is_empty()).map(as_explained).collect();
        let shown = |bodies: &[Vec<u8>]| bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect::<Vec<_>>();
        prop_assert_eq!(shown(&bodies), shown(&sent));
        prop_assert_eq!(bodies, sent);

        let count = |word: &str| verdicts.iter().filter(|verdict| verdict.starts_with(word)).count() as u64;
        let filtered = made.iter().flat_map(|made| &made.filtered).map(|(_, events)| events).sum::<u64>();
        let rejected = made.iter().map(|made| made.rejected.len() as u64).sum::<u64>();
        let events = made.iter().flat_map(|made| &made.events).filter(|event| !event.stub).count() as u64;
        prop_assert_eq!((count("filtered"), count("dead letter"), count("sent")), (filtered, rejected, events));
    }
}

#[test]
fn no_event_is_left_out_where_the_framing_became_one_that_holds_a_single_one() {
    let config = |framing: &str| {
        let text = format!(
            "sources: [{{name: app, include: [/x]}}]\n\
             forwarders: [{{name: siem, uri: \"http://127.0.0.1:9/\", framing: {framing}}}]"
        );
        load_text("test", &text, &|_| None).unwrap()
    };
    let mut log = Growing::new(LineFormat::Lines);
    let fit = BodyLimits { max_events: 10, max_bytes: 1000 };
    let (batches, _) = fresh(&config("lines"), &mut log, b"{\"n\":1}\n{\"n\":2}\n", &[], &fit);
    for framing in ["single", "array"] {
        let again = try_again(&config(framing), &log, &batches[0], &mut Tally::default()).unwrap();
        assert_eq!(again.coverage(), Coverage { events: 2, ..Coverage::default() });
        assert_eq!((again.body.event_bytes(0), again.body.event_bytes(1)), (&b"{\"n\":1}"[..], &b"{\"n\":2}"[..]));
    }
}
