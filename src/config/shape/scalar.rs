//! From a scalar's text to its value, and the word that was probably meant.

use serde_json::Value;

use super::super::{
    expect::{Expect, ExpectedForm},
    nearest::nearest,
    units,
};

pub(super) fn suggestion<'s>(text: &str, expect: &Expect<'s>) -> Option<&'s str> {
    let words = expect.words();
    if words == ["true", "false"] {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => return Some("true"),
            "no" | "off" | "n" => return Some("false"),
            _ => {}
        }
    }
    nearest(text, words).filter(|word| *word != text)
}

/// The value of a scalar's text; else what is wrong, to be read after the text. `bare`: it may be more than a text.
pub(super) fn convert(text: &str, bare: bool, expect: &Expect<'_>) -> Result<Value, String> {
    let wrong = || Err(format!("is not {}", expect.describe()));
    let quoted = || Err(format!("is a text, expected {}: leave the quotes out", expect.describe()));
    let as_text = || Ok(Value::String(text.to_owned()));
    match &expect.form {
        ExpectedForm::Text => as_text(),
        ExpectedForm::Words(words) if words.contains(&text) => as_text(),
        ExpectedForm::Boolean => match text {
            "true" | "True" | "TRUE" if bare => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" if bare => Ok(Value::Bool(false)),
            "true" | "false" => quoted(),
            _ => wrong(),
        },
        ExpectedForm::Whole { .. } if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => wrong(),
        ExpectedForm::Whole { .. } if !bare => quoted(),
        ExpectedForm::Whole { min, max } => match text.parse::<u64>() {
            Ok(number) if (*min..=*max).contains(&number) => Ok(Value::from(number)),
            _ => Err(format!("is out of range: {min} to {max}")),
        },
        ExpectedForm::Duration => units::duration(text).map_err(|error| error.to_string()).and_then(|_| as_text()),
        ExpectedForm::Size => units::size(text).map_err(|error| error.to_string()).and_then(|_| as_text()),
        ExpectedForm::Either(choices) => {
            let number = text.bytes().all(|byte| byte.is_ascii_digit());
            let choice = choices.iter().find(|choice| number == matches!(choice.form, ExpectedForm::Whole { .. }));
            match choice {
                Some(choice) if number || choice.words().contains(&text) => convert(text, bare, choice),
                _ if choices.iter().any(|choice| matches!(choice.form, ExpectedForm::Text)) => as_text(),
                _ => wrong(),
            }
        }
        ExpectedForm::Words(_) | ExpectedForm::Mapping(_) | ExpectedForm::List(_) => wrong(),
    }
}
