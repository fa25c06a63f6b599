//! Any text as a configuration: a valid one, or problems that can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match auditpost::internals::load_text("fuzz.yaml", text, &|name| (name.len() < 4).then(|| name.to_lowercase())) {
        Ok(config) => drop(format!("{config:?}")),
        Err(problems) => {
            assert!(problems.count() > 0);
            assert!(!problems.to_string().is_empty());
        }
    }
});
