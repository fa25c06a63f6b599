//! The path of a key in the configuration, as problems print it: `forwarders[0].batch.maxEvents`.

use std::fmt;

/// A key longer than this is cut where it is printed.
const SHOWN_KEY: usize = 64;

/// Where in the configuration a value stands. The empty path is the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn key(&self, key: &str) -> Self {
        let mut path = self.0.clone();
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let shown: String = key.chars().take(SHOWN_KEY).collect();
        if !plain {
            path.push_str(&format!("[{shown:?}]"));
        } else if path.is_empty() {
            path = shown;
        } else {
            path.push('.');
            path.push_str(&shown);
        }
        Self(path)
    }

    /// A key that must not be shown.
    pub(super) fn hidden(&self) -> Self {
        Self(if self.is_root() { "***".to_owned() } else { format!("{}.***", self.0) })
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path of what holds this one; `None` for the whole file.
    pub(super) fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.rfind(['.', '[']).unwrap_or(0);
        Some(Self(self.0[..end].to_owned()))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_the_operator_would_say_it() {
        let forwarder = Path::default().key("forwarders").index(2);
        assert_eq!(forwarder.key("batch").key("maxAge").to_string(), "forwarders[2].batch.maxAge");
        assert_eq!(forwarder.key("headers").key("X A").to_string(), "forwarders[2].headers[\"X A\"]");
    }

    #[test]
    fn parents_lead_to_the_whole_file() {
        let path = Path::default().key("forwarders").index(0).key("uri");
        let parent = path.parent().expect("it has one");
        assert_eq!(parent.to_string(), "forwarders[0]");
        let grandparent = parent.parent().expect("it has one");
        assert_eq!(grandparent.to_string(), "forwarders");
        assert!(grandparent.parent().expect("it has one").is_root());
        assert_eq!(Path::default().parent(), None);
    }
}
