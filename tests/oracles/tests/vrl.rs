//! Vector's reader, `parse_cef`.

use auditpost_oracles::{SAMPLES, encoded, record, sample, settings};
use proptest::prelude::*;
use vrl::{
    compiler::{Context, Program, TargetValue, TimeZone, compile, state::RuntimeState},
    prelude::*,
    value::{Secrets, Value},
};

struct Reader(Program);

impl Reader {
    fn new() -> Reader {
        let compiled = compile("parse_cef!(.line)", &vrl::stdlib::all()).expect("a program");
        Reader(compiled.program)
    }

    fn read(&self, line: &str) -> Result<ObjectMap, String> {
        let mut target = TargetValue {
            value: Value::Object([("line".into(), Value::from(line))].into_iter().collect()),
            metadata: Value::Object(ObjectMap::new()),
            secrets: Secrets::new(),
        };
        let mut state = RuntimeState::default();
        let zone = TimeZone::default();
        let read = self.0.resolve(&mut Context::new(&mut target, &mut state, &zone));
        match read {
            Ok(Value::Object(read)) => Ok(read),
            other => Err(format!("{other:?}")),
        }
    }
}

/// It takes a pair of double quotes around a value for its own, and pipes before the next key for spaces.
fn as_it_is_read(text: &str, last: bool) -> &str {
    let text = if last { text } else { text.trim_end_matches(['|', ' ']) };
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[test]
fn it_reads_every_sample() {
    let reader = Reader::new();
    for file in SAMPLES {
        for (record, settings) in
            sample(file).iter().flat_map(|record| settings(false).map(|settings| (record, settings)))
        {
            let line = encoded(&settings, record);
            let read = reader.read(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            // Each ` key=` of the line and the header's seven.
            let keys = line.splitn(8, '|').last().map_or(0, |pairs| pairs.replace("\\=", "").matches('=').count());
            assert_eq!(read.len(), keys + 7, "{line}");
        }
    }
}

#[test]
fn it_gets_back_what_went_in() {
    let reader = Reader::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let run = runner.run(&record(), |(record, expected)| {
        for (settings, expected) in settings(false).iter().zip(expected) {
            let line = encoded(settings, &record);
            let read = reader.read(&line).map_err(|error| TestCaseError::fail(format!("{error}: {line}")))?;
            for (key, value) in expected {
                let found = read.get(key.as_str()).map(|value| value.to_string_lossy().into_owned());
                let ways = [as_it_is_read(&value, false), as_it_is_read(&value, true)];
                prop_assert!(
                    ways.iter().any(|way| found.as_deref() == Some(*way)),
                    "{} is {:?} in {}",
                    key,
                    found,
                    line
                );
            }
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
