//! stand-in
use std::{io, path::Path};
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)
}
pub fn push_line<T: serde::Serialize>(out: &mut Vec<u8>, t: &T) {
    let j = serde_json::to_vec(t).unwrap();
    out.extend(format!("{:08x} ", crc32fast::hash(&j)).bytes());
    out.extend(&j);
    out.push(b'\n');
}
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], ()>> {
    bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| Ok(&l[9..]))
}
