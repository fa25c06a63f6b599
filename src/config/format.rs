//! How events stand in files.

/// How events stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Each line is one.
    Lines,
    /// As container runtimes write what a container says on one of its streams.
    Cri(CriStream),
}

/// What a container writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CriStream {
    Stdout,
    Stderr,
}
