//! The real binary in a temporary directory of its own.
//!
//! ```ignore
//! let receiver = Receiver::start();
//! let mut sidecar = Sidecar::new()
//!     .file_source("app", "logs/*.ndjson")
//!     .forwarder("siem", &receiver.url(), "batch: {maxAge: 50ms}")
//!     .start();
//! sidecar.write_lines("logs/audit.ndjson", 0..100);
//! assert_eq!(numbers(&receiver.wait_for_lines(100)), (0..100).collect::<Vec<_>>());
//! assert_eq!(sidecar.stop(), 0);
//! ```
//!
//! Every wait has a limit, and what the process said is printed when one is over. The process ends with its
//! `Sidecar`, and so does the directory.

mod files;
mod process;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use process::Process;

pub use files::append;

/// The binary, its directory and its configuration. It runs from [`Self::start`] to [`Self::stop`] or
/// [`Self::kill`], and may be started again.
pub struct Sidecar {
    dir: tempfile::TempDir,
    config: Config,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    process: Option<Process>,
    /// What earlier runs said.
    past: String,
}

enum Config {
    /// As given, with the placeholders replaced.
    Text(String),
    Parts {
        sources: String,
        forwarders: String,
        top: String,
    },
}

impl Sidecar {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            config: Config::Parts {
                sources: String::new(),
                forwarders: String::new(),
                top: "admin: {listen: \"127.0.0.1:0\"}\nlog: {level: debug}\n".to_owned(),
            },
            env: Vec::new(),
            wrapper: Vec::new(),
            process: None,
            past: String::new(),
        }
    }

    /// The whole configuration; `{dir}` stands for the temporary directory.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Config::Text(yaml.to_owned());
        self
    }

    /// A `file` source on one glob below the directory.
    pub fn file_source(self, name: &str, include: &str) -> Self {
        self.file_source_with(name, include, "")
    }

    /// The same with further keys: lines of YAML at their own level.
    pub fn file_source_with(mut self, name: &str, include: &str, extra: &str) -> Self {
        let item = format!("- name: {name}\n  kind: file\n  include: [\"{{dir}}/{include}\"]\n{}", indent(extra));
        self.part(|sources, _, _| sources.push_str(&item));
        self
    }

    /// A webhook; `extra` is further keys as lines of YAML.
    pub fn forwarder(mut self, name: &str, uri: &str, extra: &str) -> Self {
        let item = format!("- name: {name}\n  uri: {uri}\n{}", indent(extra));
        self.part(|_, forwarders, _| forwarders.push_str(&item));
        self
    }

    /// Further keys at the top level: lines of YAML.
    pub fn top(mut self, extra: &str) -> Self {
        self.part(|_, _, top| {
            top.push_str(extra);
            top.push('\n');
        });
        self
    }

    /// Another level than `debug` for its diagnostics.
    pub fn log_level(mut self, level: &str) -> Self {
        self.part(|_, _, top| *top = top.replace("level: debug", &format!("level: {level}")));
        self
    }

    /// Puts another configuration in the place of the present one, as an operator does before a reload.
    pub fn set_config(&mut self, yaml: &str) {
        self.config = Config::Text(yaml.to_owned());
        self.write_config();
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts `auditpost run` through another program, which must become it (exec): `{dir}` is replaced.
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        let dir = self.dir.path().display().to_string();
        self.wrapper = wrapper.iter().map(|word| word.replace("{dir}", &dir)).collect();
        self
    }

    /// Writes the configuration and starts `auditpost run`; returns once the process runs, not once it is ready.
    pub fn start(mut self) -> Self {
        self.start_again();
        self
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], on the same files.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it is running already");
        self.write_config();
        let config = self.config_path();
        let args = ["run".as_ref(), "-c".as_ref(), config.as_os_str()];
        self.process = Some(Process::start(self.dir.path(), &self.env, &self.wrapper, &args));
    }

    /// Runs any command of the binary in the directory, to its end; the configuration is at
    /// [`Self::config_path`]. Gives the exit status, standard output and standard error.
    pub fn command(&self, args: &[&str]) -> (i32, String, String) {
        self.write_config();
        process::run_to_end(self.dir.path(), &self.env, args)
    }

    /// The configuration as it is written.
    pub fn yaml(&self) -> String {
        let text = match &self.config {
            Config::Text(text) => text.clone(),
            Config::Parts { sources, forwarders, top } => {
                format!("stateDir: \"{{dir}}/state\"\n{top}sources:\n{sources}forwarders:\n{forwarders}")
            }
        };
        text.replace("{dir}", &self.dir.path().display().to_string())
    }

    pub fn write_config(&self) {
        // Whole or not at all, for a process that is just starting.
        let new = self.path("config.yaml.new");
        std::fs::write(&new, self.yaml()).unwrap();
        std::fs::rename(new, self.config_path()).unwrap();
    }

    pub fn config_path(&self) -> PathBuf {
        self.path("config.yaml")
    }

    /// A path below the temporary directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    fn part(&mut self, change: impl FnOnce(&mut String, &mut String, &mut String)) {
        match &mut self.config {
            Config::Parts { sources, forwarders, top } => change(sources, forwarders, top),
            Config::Text(_) => panic!("the configuration was given whole"),
        }
    }
}

fn indent(lines: &str) -> String {
    lines.lines().map(|line| format!("  {line}\n")).collect()
}
