//! The rules of `cef`.

use super::{
    super::{
        CefConfig, Dialect, Format, Ipv6, Mapped, MappedFrom, MappedKey, PrefixPart, nearest::nearest, path::Path,
        report::Report, written,
    },
    refuse_empty_text,
};
use crate::{
    format::{CONSUMERS, CefKey, CefValueKind, RESERVED},
    schema::Field,
};

const VENDOR_MAX: usize = 63;
const PRODUCT_MAX: usize = 63;
const VERSION_MAX: usize = 31;
const PREFIX_MAX: usize = 255;

pub(super) fn cef(
    written: Option<&written::WrittenCef>,
    format: Format,
    path: &Path,
    report: &mut Report,
) -> CefConfig {
    let path = path.key("cef");
    let Some(written) = written else {
        return CefConfig::default();
    };
    if format != Format::Cef {
        report.problem(&path, "has no effect: it belongs to format: cef");
    }
    for (key, text, max) in [
        ("vendor", &written.vendor, VENDOR_MAX),
        ("product", &written.product, PRODUCT_MAX),
        ("version", &written.version, VERSION_MAX),
    ] {
        header_field(text.as_deref(), max, &path.key(key), report);
    }
    host(written.host.as_deref(), &path.key("host"), report);
    CefConfig {
        dialect: match written.dialect.unwrap_or(written::WrittenDialect::Strict) {
            written::WrittenDialect::Strict => Dialect::Strict,
            written::WrittenDialect::Konnect => Dialect::Konnect,
        },
        vendor: written.vendor.clone(),
        product: written.product.clone(),
        version: written.version.clone(),
        host: written.host.clone(),
        prefix: prefix(written, &path.key("prefix"), report),
        map: map(written, &path.key("map"), report),
        severity: severity(written, &path.key("severity"), report),
        ipv6: match written.ipv6.unwrap_or(written::WrittenIpv6::Src) {
            written::WrittenIpv6::Src => Ipv6::Src,
            written::WrittenIpv6::C6a2 => Ipv6::C6a2,
        },
        leading_space: written.leading_space.unwrap_or(false),
        raw_event: written.raw_event.unwrap_or(false),
    }
}

/// A header field that is the same in every line: it is kept free of what some readers cannot take.
fn header_field(text: Option<&str>, max: usize, path: &Path, report: &mut Report) {
    let Some(text) = text else { return };
    refuse_empty_text(text, path, report);
    if text.contains(|c: char| matches!(c, '|' | '=' | '\\') || c.is_control()) {
        report.problem(path, "has a |, =, \\ or control character in it, at which some readers refuse every line");
    }
    if text.chars().count() > max {
        report.problem(path, format!("is too long: {max} characters are the most"));
    }
}

fn host(text: Option<&str>, path: &Path, report: &mut Report) {
    let CefValueKind::Text(max) = CefKey::Dvchost.kind() else { return };
    let Some(text) = text else { return };
    refuse_empty_text(text, path, report);
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        report.problem(path, "has a space or a control character in it");
    }
    if text.chars().count() > max {
        report.problem(path, format!("is too long: {max} characters are the most"));
    }
}

fn prefix(written: &written::WrittenCef, path: &Path, report: &mut Report) -> Vec<PrefixPart> {
    let Some(text) = written.prefix.as_deref() else {
        return Vec::new();
    };
    if text.contains("CEF:") || text.contains(char::is_control) || text.chars().count() > PREFIX_MAX {
        let what = "must be one line of at most 255 characters without CEF: in it, such as \"{time} {host} \"";
        report.problem(path, what);
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(PrefixPart::Text(before.to_owned()));
        }
        let Some((name, behind)) = behind.split_once('}') else {
            report.problem(path, "has a { without its }");
            return parts;
        };
        match name {
            "time" => parts.push(PrefixPart::Time),
            "host" => parts.push(PrefixPart::Host),
            _ => report.problem_near(path, "can hold {time} and {host} only", nearest(name, ["time", "host"])),
        }
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(PrefixPart::Text(rest.to_owned()));
    }
    if parts.contains(&PrefixPart::Host) && written.host.is_none() {
        report.problem(path, "has {host} in it, and no host is set beside it");
    }
    parts
}

fn severity(
    written: &written::WrittenCef,
    path: &Path,
    report: &mut Report,
) -> std::collections::BTreeMap<String, u8> {
    let table = written.severity.iter().flatten();
    for (word, _) in table.clone().filter(|(word, _)| word.trim().is_empty()) {
        report.problem_with_key(&path.key(word), "is empty: it must be an event type or an outcome");
    }
    table.map(|(word, severity)| (word.clone(), severity.0)).collect()
}

fn map(written: &written::WrittenCef, path: &Path, report: &mut Report) -> Vec<Mapped> {
    let entries = written.map.iter().flatten().filter_map(|(name, mapped)| {
        let path = path.key(name);
        let (from, label) = match mapped {
            written::WrittenMapping::Short(from) => (Some(from.as_str()), None),
            written::WrittenMapping::Long(form) => (form.from.as_deref(), form.label.as_deref()),
        };
        let key = key(name, label, &path, report);
        let from = from.and_then(|from| {
            let at = if matches!(mapped, written::WrittenMapping::Long(_)) { path.key("from") } else { path.clone() };
            place(from, &at, report)
        });
        Some(Mapped { key: key?, from: from? })
    });
    entries.collect()
}

fn key(name: &str, label: Option<&str>, path: &Path, report: &mut Report) -> Option<MappedKey> {
    if let Some(what) = refusal(name) {
        report.problem_with_key(path, what);
        return None;
    }
    let Some(key) = CefKey::find(name) else {
        if label.is_some() {
            report.problem(&path.key("label"), NO_LABEL);
        }
        return Some(MappedKey::Own(name.to_owned()));
    };
    match label {
        None if key.has_label() => {
            let what = format!("has no label, which says what {name} is: write {{from: …, label: …}}");
            report.problem(path, what);
            None
        }
        Some(_) if !key.has_label() => {
            report.problem(&path.key("label"), NO_LABEL);
            None
        }
        Some(label) => {
            let at = path.key("label");
            refuse_empty_text(label, &at, report);
            if label.contains(char::is_control) || label.chars().count() > key.label_max() {
                report.problem(&at, format!("must be one line of at most {} characters", key.label_max()));
            }
            Some(MappedKey::Dictionary(key, Some(label.to_owned())))
        }
        None => Some(MappedKey::Dictionary(key, None)),
    }
}

const NO_LABEL: &str = "has no effect: only custom fields such as cs1 have labels";

/// Why a key cannot be set.
fn refusal(name: &str) -> Option<String> {
    let portable = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(portable) {
        return Some("is no key that every reader takes: a letter, then letters, digits and _".to_owned());
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Some("is the name of a header field or of the reader's own, which would be overwritten".to_owned());
    }
    if CONSUMERS.contains(&name) {
        return Some("is set by the SIEM, not by a sender".to_owned());
    }
    if name.starts_with("ad_") || name.starts_with("adWhole_") || name == "adCut" {
        return Some("is auditpost's own".to_owned());
    }
    match name.strip_suffix("Label").and_then(CefKey::find) {
        Some(key) if key.has_label() => {
            Some(format!("is written with {0}: give {0} a label instead, {{from: …, label: …}}", key.name()))
        }
        _ => None,
    }
}

fn place(from: &str, path: &Path, report: &mut Report) -> Option<MappedFrom> {
    if let Some(pointer) = from.strip_prefix('/') {
        let names = pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
        return Some(MappedFrom::Pointer(names.collect()));
    }
    let field = Field::parse(from);
    if field.is_none() {
        let near = nearest(from, Field::ALL.map(Field::name)).filter(|_| report.is_literal(path, from));
        let what = format!("{} is no field, and no JSON pointer, which begins with /", report.written(path));
        report.problem_near(path, what, near);
    }
    field.map(MappedFrom::Field)
}
