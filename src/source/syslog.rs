//! The message behind a syslog header (RFC 5424, section 6; RFC 3164, section 4).
//!
//! What is no header as these have it is part of the event: nothing is left out that was not understood.

/// The event in a frame: its message, or all of it where it has no header or no message.
pub fn message(frame: &[u8]) -> &[u8] {
    match after_header(frame).map(|message| message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message)) {
        None | Some([]) => frame,
        Some(message) => message,
    }
}

fn after_header(frame: &[u8]) -> Option<&[u8]> {
    let rest = priority(frame)?;
    match rest.strip_prefix(b"1 ") {
        Some(rest) => after_5424(rest),
        None => after_3164(rest),
    }
}

/// `<0>` to `<191>`: what is behind it.
fn priority(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(b"<")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) {
        return None;
    }
    rest[digits..].strip_prefix(b">")
}

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`
fn after_5424(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..5 {
        let end = memchr::memchr(b' ', rest).filter(|end| *end > 0)?;
        rest = &rest[end + 1..];
    }
    rest = match rest.strip_prefix(b"-") {
        Some(rest) => rest,
        None => after_elements(rest)?,
    };
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b" ") }
}

/// `[id name="value" …]…`: in a value `"`, `\` and `]` are escaped.
fn after_elements(mut rest: &[u8]) -> Option<&[u8]> {
    if rest.first() != Some(&b'[') {
        return None;
    }
    while rest.first() == Some(&b'[') {
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let is_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' if quoted && !is_escaped => escaped = true,
                b'"' if !is_escaped => quoted = !quoted,
                b']' if !quoted => return true,
                _ => {}
            }
            false
        })?;
        rest = &rest[end + 1..];
    }
    Some(rest)
}

/// `Mmm dd hh:mm:ss HOSTNAME TAG: MSG`; the host, and the process in brackets, may be left out.
fn after_3164(rest: &[u8]) -> Option<&[u8]> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let date = rest.get(..16)?;
    let shape = b"Mmm dd hh:mm:ss ";
    let fits = date.iter().zip(shape).skip(3).all(|(byte, shape)| match shape {
        b' ' | b':' => byte == shape,
        // A day below ten has a blank before it.
        _ => byte.is_ascii_digit() || (*shape == b'd' && *byte == b' '),
    });
    if !fits || !MONTHS.contains(&&date[..3]) {
        return None;
    }
    let rest = &rest[16..];
    // The local socket's form has no host: then the tag stands first.
    after_tag(rest).or_else(|| after_tag(&rest[memchr::memchr(b' ', rest)? + 1..]))
}

/// `TAG: `, `TAG[123]: `: of visible characters, at most 48 of them.
fn after_tag(rest: &[u8]) -> Option<&[u8]> {
    let end = rest.iter().take(48).position(|byte| *byte == b':')?;
    let tag = &rest[..end];
    let is_tag = !tag.is_empty()
        && tag.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./[]".contains(byte))
        && rest.get(end + 1).is_none_or(|byte| *byte == b' ');
    is_tag.then(|| rest.get(end + 2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(frame: &str, event: &str) {
        assert_eq!(String::from_utf8_lossy(message(frame.as_bytes())), event);
    }

    #[test]
    fn the_message_of_rfc_5424_is_the_event() {
        check(r#"<165>1 2003-10-11T22:14:15.003Z host app - ID47 - {"a":1}"#, r#"{"a":1}"#);
        check(r#"<0>1 - - - - - [x@1 k="a\"]\\" l="]"][y] {"a":[1] }"#, r#"{"a":[1] }"#);
        check("<34>1 - - - - - - \u{feff}{}", "{}");
    }

    #[test]
    fn the_message_of_rfc_3164_is_the_event_with_or_without_a_host() {
        check(r#"<34>Oct 11 22:14:15 mymachine su: {"a":1}"#, r#"{"a":1}"#);
        check(r#"<34>Oct  1 22:14:15 my.machine app[12]: {"a":1}"#, r#"{"a":1}"#);
        check(r#"<34>Oct  1 22:14:15 app[12]: {"a":1}"#, r#"{"a":1}"#);
    }

    #[test]
    fn what_has_no_whole_header_or_no_message_stays_as_it_is() {
        for frame in [
            r#"{"a":1}"#,
            "<34>",
            "<1234>1 - - - - - - x",
            "<34>1 - - - - - [x x",
            "<34>1 - - - - - -",
            "<34>1 - - - - - - ",
            "<34>1 - - - - - x {}",
            "<34>Okt 11 22:14:15 host su: {}",
            "<34>Oct 11 22:14:15 host no tag here",
            r#"<34>{"a":1}"#,
            "",
        ] {
            check(frame, frame);
        }
    }

    proptest! {
        #[test]
        fn an_event_is_an_end_of_its_frame(frame in "(<[0-9]{0,4}>)?(1 |Oct 11 22:14:15 )?[ -~]{0,60}") {
            prop_assert!(frame.as_bytes().ends_with(message(frame.as_bytes())));
        }
    }
}
