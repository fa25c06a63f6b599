//! The application of the demo: it writes the audit events of four systems, each to a file of its own.
//!
//! Event number `n` is the sample `n % 49` with the number in its id, so the bytes of every event follow from its
//! number: a webhook can be asked whether it has all of them, and whether they are the same bytes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use memchr::memmem;

use super::directory::quoted;

/// A system whose events are written.
struct DemoSystem {
    name: &'static str,
    samples: &'static str,
    /// What stands before the value that makes an event unique.
    id: &'static str,
}

const SYSTEMS: [DemoSystem; 4] = [
    DemoSystem { name: "connect", samples: include_str!("../../../tests/samples/connect.ndjson"), id: r#"{"id":""# },
    DemoSystem {
        name: "infrakitchen",
        samples: include_str!("../../../tests/samples/infrakitchen.ndjson"),
        id: r#"{"id":""#,
    },
    DemoSystem {
        name: "konnect",
        samples: include_str!("../../../tests/samples/konnect.ndjson"),
        id: r#""trace_id":""#,
    },
    DemoSystem {
        name: "chainloop",
        samples: include_str!("../../../tests/samples/chainloop.ndjson"),
        id: r#""Digest":"sha256:"#,
    },
];

/// What marks an event's number, in its JSON and in its CEF alike.
const MARK: &str = "demo-";
const DIGITS: usize = 9;

/// Cut off in the midst, as a crash of the application may leave it.
pub(super) const MALFORMED: &str = r#"{"id":"ae-cut-off-in-the-midst","type":"EVENT_TYPE_TOKEN_EXCH"#;

/// The sample events, ready to be numbered.
pub(super) struct Samples(Vec<SampleTemplate>);

/// One sample event: what stands before its number and behind it.
struct SampleTemplate {
    system: usize,
    before: String,
    after: String,
}

impl Samples {
    pub(super) fn new() -> Self {
        let templates = |(system, of): (usize, &'static DemoSystem)| {
            of.samples.lines().filter_map(move |line| SampleTemplate::new(system, of.id, line))
        };
        Self(SYSTEMS.iter().enumerate().flat_map(templates).collect())
    }

    /// How many different events there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Sets `line` to event `n`, without its line end.
    pub(super) fn write(&self, n: usize, line: &mut Vec<u8>) {
        let template = self.template(n);
        line.clear();
        line.extend_from_slice(template.before.as_bytes());
        line.extend_from_slice(format!("{MARK}{n:0DIGITS$}-").as_bytes());
        line.extend_from_slice(template.after.as_bytes());
    }

    pub(super) fn system(&self, n: usize) -> usize {
        self.template(n).system
    }

    /// Whether event `n` is of one of these types. `types` as the events spell them.
    pub(super) fn is_one_of(&self, n: usize, types: &[&str]) -> bool {
        let template = self.template(n);
        let has = |kind: &&str| {
            let (long, short) = (format!(r#""type":"{kind}""#), format!(r#""action":"{kind}""#));
            template.after.contains(&long) || template.after.contains(&short)
        };
        types.iter().any(has)
    }

    fn template(&self, n: usize) -> &SampleTemplate {
        &self.0[n % self.0.len()]
    }
}

impl SampleTemplate {
    /// The number takes the place of as many characters of the id.
    fn new(system: usize, id: &str, line: &str) -> Option<Self> {
        let start = line.find(id)? + id.len();
        let end = start + line[start..].find('"')?;
        let after = (start + MARK.len() + DIGITS + "-".len()).min(end);
        Some(Self { system, before: line[..start].to_owned(), after: line[after..].to_owned() })
    }
}

/// The number of an event as it arrived; `None` where it is none of ours.
pub(super) fn number(event: &[u8]) -> Option<usize> {
    let start = memmem::find(event, MARK.as_bytes())? + MARK.len();
    str::from_utf8(event.get(start..start + DIGITS)?).ok()?.parse().ok()
}

/// Writes events to `<dir>/<system>.ndjson`, each with its line end, as an application does.
pub(super) struct Application {
    dir: PathBuf,
    files: Vec<File>,
    line: Vec<u8>,
    buffers: Vec<Vec<u8>>,
    /// Written so far, the line ends too.
    pub(super) bytes: u64,
}

impl Application {
    /// Makes the directory and the empty files.
    pub(super) fn start(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let files = SYSTEMS.iter().map(|system| open(dir, system.name)).collect::<io::Result<_>>()?;
        let buffers = SYSTEMS.iter().map(|_| Vec::new()).collect();
        Ok(Self { dir: dir.to_owned(), files, line: Vec::new(), buffers, bytes: 0 })
    }

    /// Appends the events of these numbers, in order.
    pub(super) fn write(&mut self, samples: &Samples, events: Range<usize>) -> io::Result<()> {
        for n in events {
            samples.write(n, &mut self.line);
            let buffer = &mut self.buffers[samples.system(n)];
            buffer.extend_from_slice(&self.line);
            buffer.push(b'\n');
        }
        for (buffer, file) in self.buffers.iter_mut().zip(&mut self.files) {
            file.write_all(buffer)?;
            self.bytes += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    }

    /// Appends a line that is no JSON to the first system's file.
    pub(super) fn write_malformed(&mut self) -> io::Result<()> {
        self.files[0].write_all(format!("{MALFORMED}\n").as_bytes())
    }

    /// Renames a system's file out of the way and goes on in a new one, as log rotation does.
    pub(super) fn rotate(&mut self, system: &str) -> io::Result<()> {
        let Some(index) = SYSTEMS.iter().position(|known| known.name == system) else { return Ok(()) };
        let path = path(&self.dir, system);
        fs::rename(&path, path.with_extension("ndjson.1"))?;
        self.files[index] = open(&self.dir, system)?;
        Ok(())
    }
}

/// The `sources` of a configuration that follows the files of an [`Application`] in `dir`.
pub(super) fn sources(dir: &Path) -> String {
    let source = |system: &DemoSystem| {
        let include = quoted(&path(dir, system.name));
        format!("- {{name: {}, include: [{include}], scanInterval: 200ms}}\n", system.name)
    };
    SYSTEMS.iter().map(source).collect()
}

fn open(dir: &Path, system: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path(dir, system))
}

fn path(dir: &Path, system: &str) -> PathBuf {
    dir.join(format!("{system}.ndjson"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_numbered_and_stays_json() {
        let samples = Samples::new();
        let lines: usize = SYSTEMS.iter().map(|system| system.samples.lines().count()).sum();
        assert_eq!((samples.len(), lines), (49, 49));
        let mut line = Vec::new();
        for n in (0..samples.len()).chain(1_000_000..1_000_049) {
            samples.write(n, &mut line);
            serde_json::from_slice::<serde_json::Value>(&line).unwrap();
            assert_eq!(number(&line), Some(n));
        }
        assert_eq!(number(MALFORMED.as_bytes()), None);
        assert!(serde_json::from_str::<serde_json::Value>(MALFORMED).is_err());
    }

    #[test]
    fn types_are_found_as_the_filter_finds_them() {
        let samples = Samples::new();
        let count = |types: &[&str]| (0..samples.len()).filter(|n| samples.is_one_of(*n, types)).count();
        assert_eq!(count(&["EVENT_TYPE_NODE_ATTESTATION"]), 1);
        assert_eq!(count(&["login", "EVENT_TYPE_NODE_ATTESTATION"]), 2);
        assert_eq!(count(&["none"]), 0);
    }

    #[test]
    fn it_writes_in_order_and_rotates() {
        let dir = tempfile::tempdir().unwrap();
        let (samples, mut application) = (Samples::new(), Application::start(dir.path()).unwrap());
        application.write(&samples, 0..49).unwrap();
        application.rotate("konnect").unwrap();
        application.write(&samples, 49..98).unwrap();
        let numbers = |name: &str| -> Vec<usize> {
            let text = fs::read_to_string(dir.path().join(name)).unwrap();
            text.lines().map(|line| number(line.as_bytes()).unwrap()).collect()
        };
        assert_eq!(numbers("konnect.ndjson.1"), (25..37).collect::<Vec<_>>());
        assert_eq!(numbers("konnect.ndjson"), (74..86).collect::<Vec<_>>());
        assert_eq!(numbers("connect.ndjson").len(), 24);
        assert_eq!(sources(dir.path()).lines().count(), 4);
    }
}
