//! `${NAME}` and `${NAME:-default}` in a scalar; `$$` is a dollar.
//!
//! It runs on the parsed scalar, never on the file: what a variable brings in can be no YAML, no key and no
//! second variable. No error names a value.

/// What is wrong with a text that refers to variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VariableFault {
    #[error("the variable {0} is not set; set it, or give a default: ${{{0}:-default}}")]
    Missing(String),
    #[error("a variable is not closed: write ${{NAME}} or ${{NAME:-default}}, and $$ for a dollar")]
    Unclosed,
    #[error("only ${{NAME}} and ${{NAME:-default}} are known, NAME being letters, digits and `_`")]
    Malformed,
    #[error("a default cannot hold another variable")]
    Nested,
    #[error("a single `$`: write $$ for a dollar, ${{NAME}} for a variable")]
    LoneDollar,
}

/// A text whose variables have been replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub(super) text: String,
    /// Whether a variable stood in it.
    pub(super) changed: bool,
}

/// Replaces the variables of a scalar. A variable that is set to nothing counts as set, but gives way to a default,
/// as in a shell.
pub(super) fn interpolate(
    written: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Interpolated, Vec<VariableFault>> {
    let mut text = String::with_capacity(written.len());
    let mut changed = false;
    let mut faults = Vec::new();
    let mut rest = written;
    while let Some(dollar) = rest.find('$') {
        text.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            changed = true;
            let Some(end) = after.find('}') else {
                faults.push(VariableFault::Unclosed);
                rest = "";
                break;
            };
            match value(&after[..end], env) {
                Ok(value) => text.push_str(&value),
                Err(fault) => faults.push(fault),
            }
            rest = &after[end + 1..];
        } else {
            faults.push(VariableFault::LoneDollar);
        }
    }
    text.push_str(rest);
    if faults.is_empty() { Ok(Interpolated { text, changed }) } else { Err(faults) }
}

/// Whether the text is one `${NAME}` and nothing else, so that it can be shown even where its value is secret.
pub(super) fn is_reference(written: &str) -> bool {
    written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(is_name)
}

fn value(reference: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableFault> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Err(VariableFault::Malformed);
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(VariableFault::Nested);
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(VariableFault::Missing(name.to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_env(written: &str) -> Result<String, Vec<VariableFault>> {
        let env = |name: &str| match name {
            "HOST" => Some("siem".to_owned()),
            "NOTHING" => Some(String::new()),
            "TRICKY" => Some("${HOST} $x".to_owned()),
            _ => None,
        };
        interpolate(written, &env).map(|interpolated| interpolated.text)
    }

    #[test]
    fn variables_defaults_and_dollars_are_replaced() {
        for (written, text) in [
            ("plain", "plain"),
            ("https://${HOST}/x", "https://siem/x"),
            ("${HOST}${HOST}", "siemsiem"),
            ("${HOST:-other}", "siem"),
            ("${GONE:-other}", "other"),
            ("${GONE:-}", ""),
            ("${NOTHING}", ""),
            ("${NOTHING:-other}", "other"),
            ("$$", "$"),
            ("$${HOST}", "${HOST}"),
            ("$$$${HOST}", "$${HOST}"),
            ("pa$$word", "pa$word"),
        ] {
            assert_eq!(with_env(written), Ok(text.to_owned()), "{written}");
        }
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        assert_eq!(with_env("${TRICKY}"), Ok("${HOST} $x".to_owned()));
    }

    #[test]
    fn every_fault_of_a_text_is_found() {
        assert_eq!(
            with_env("${GONE} ${ALSO_GONE} $x ${1} ${A:?b} ${A:-${B}} ${"),
            Err(vec![
                VariableFault::Missing("GONE".to_owned()),
                VariableFault::Missing("ALSO_GONE".to_owned()),
                VariableFault::LoneDollar,
                VariableFault::Malformed,
                VariableFault::Malformed,
                VariableFault::Nested,
                VariableFault::Unclosed,
            ])
        );
        assert_eq!(with_env("$"), Err(vec![VariableFault::LoneDollar]));
    }

    #[test]
    fn only_a_bare_reference_may_be_shown_for_a_secret() {
        assert!(is_reference("${SIEM_TOKEN}"));
        for written in ["${SIEM_TOKEN:-s3cret}", "s3cret", "Bearer ${T}", "${T}s3cret", "${}", "${A}${B}"] {
            assert!(!is_reference(written), "{written}");
        }
    }
}
