//! Small damage to a line.

/// One to four small changes of the kinds that break JSON, or nearly do.
pub(crate) fn mutate(line: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const PIECES: [&[u8]; 32] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u12",
        b"\\ud800",
        b"\\ud83d\\ude00",
        b"\\x",
        b"\x1f",
        b"\0",
        b"\x7f",
        b"\xff",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"1e999",
        b"-",
        b"01",
        b"1.",
        b".5",
        b"1E+",
        b"nul",
        b"true",
        b"\"type\":1,",
        b"\"t\\u0079pe\":\"x\",",
        b"\"a\":{\"b\":2},",
        b" \t\r\n",
        b"123456789012345678901234567890",
    ];
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=line.len());
        match random.u8(..6) {
            0 if at < line.len() => line[at] = random.u8(..),
            1 if at < line.len() => drop(line.remove(at)),
            2 => line.truncate(at),
            3 => {
                let end = random.usize(at..=line.len()).min(at + 40);
                let copy = line[at..end].to_vec();
                let to = random.usize(..=line.len());
                line.splice(to..to, copy);
            }
            _ => {
                let piece = PIECES[random.usize(..PIECES.len())];
                line.splice(at..at, piece.iter().copied());
            }
        }
    }
}
