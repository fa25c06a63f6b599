//! `--out`: every body, decoded, and its headers, for later.
//!
//! `000001-BATCH.ndjson` and `000001-BATCH.headers`; the numbers go on where an earlier run ended, and no file is ever
//! written over.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hyper::header;

use super::{Delivery, server::text};

#[derive(Debug)]
pub(super) struct Archive {
    dir: PathBuf,
    next: u64,
}

impl Archive {
    /// Creates the directory where it is missing.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut last = 0;
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.split_once('-'));
            let number = number.and_then(|(number, _)| number.parse::<u64>().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(Self { dir: dir.to_owned(), next: last + 1 })
    }

    pub(super) fn save(&mut self, delivery: &Delivery) -> io::Result<()> {
        let id = delivery.headers.get("webhook-id").map(text);
        let stem = format!("{:06}-{}", self.next, file_name(id.as_deref()));
        self.next += 1;
        self.create(&stem, "ndjson")?.write_all(&delivery.body)?;
        self.create(&stem, "headers")?.write_all(head(delivery).as_bytes())
    }

    fn create(&self, stem: &str, extension: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.dir.join(format!("{stem}.{extension}")))
    }
}

/// The request's head as it came, but for the credentials.
fn head(delivery: &Delivery) -> String {
    let mut head = format!("{} {}\n", delivery.method, delivery.uri);
    for (name, value) in &delivery.headers {
        if name == header::AUTHORIZATION {
            head += "authorization: [redacted]\n";
        } else {
            head += &format!("{name}: {}\n", text(value));
        }
    }
    head
}

/// An id as a part of a file name: a peer chose it.
fn file_name(id: Option<&str>) -> String {
    let id = id.unwrap_or("no-id");
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
        _ => '_',
    };
    id.chars().take(64).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_name_another_directory() {
        assert_eq!(file_name(Some("../../etc/x")), "______etc_x");
        assert_eq!(file_name(Some("msg_2-a")), "msg_2-a");
        assert_eq!(file_name(None), "no-id");
        assert_eq!(file_name(Some(&"x".repeat(1000))).len(), 64);
    }
}
