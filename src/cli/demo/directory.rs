//! The temporary directory that a demo plays in; it goes away with its [`DemoDirectory`].

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{application, sidecar::TOKEN_VARIABLE};

/// A directory of our own, 0700.
pub(super) struct DemoDirectory {
    dir: PathBuf,
}

impl DemoDirectory {
    pub(super) fn build() -> io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("auditpost-demo-{:016x}", fastrand::u64(..)));
        DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self { dir })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where an application writes, by the act it plays in.
    pub(super) fn logs(&self, act: &str) -> PathBuf {
        self.dir.join(act)
    }

    pub(super) fn state(&self, act: &str) -> PathBuf {
        self.dir.join(format!("{act}-state"))
    }

    /// Writes the configuration of an act: all systems to these forwarders. Gives its path.
    pub(super) fn configure(&self, act: &str, forwarders: &[String]) -> io::Result<PathBuf> {
        let state = quoted(&self.state(act));
        let text = format!(
            "stateDir: {state}\ndrainTimeout: 500ms\nadmin: {{listen: \"127.0.0.1:0\"}}\nlog: {{format: json}}\n\
             sources:\n{}forwarders:\n{}",
            application::sources(&self.logs(act)),
            forwarders.concat(),
        );
        let path = self.dir.join(format!("{act}.yaml"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for DemoDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A path as a configuration takes it, whatever is in it.
pub(super) fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string().replace('$', "$$")).to_string()
}

/// A forwarder of a configuration; `more` is further keys as lines of YAML.
pub(super) fn forwarder(name: &str, uri: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("  {line}\n")).collect();
    format!("- name: {name}\n  uri: {uri}\n  token: ${{{TOKEN_VARIABLE}}}\n{more}")
}
