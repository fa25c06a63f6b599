//! The rules of `forwarders`.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;

use super::{
    super::{
        Answers, Compression, Format, Forwarder, Framing, Uri,
        nearest::nearest,
        path::Path,
        report::Report,
        written::{self, ConfigFile},
    },
    auth, cef, delivery, filter, name, positive, profile, refuse_empty, request, source, wrap,
};

use crate::schema::System;

const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn forwarders(file: &ConfigFile, root: &Path, report: &mut Report) -> Option<Vec<Forwarder>> {
    let (written, path) = written(file, root, report)?;
    refuse_empty(Some(written), &path, "is empty: nothing would be sent", report);
    let sources = file.sources.iter().flatten();
    let sources: Vec<(&str, Option<System>)> =
        sources.filter_map(|written| Some((written.name.as_deref()?, source::system(written)))).collect();
    let each = || written.iter().enumerate().map(|(index, forwarder)| (forwarder, path.index(index)));
    let uris: Vec<Option<Uri>> = each().map(|(written, path)| request::uri(written, &path, report)).collect();
    let names = names(written, &uris, &path, report);
    let parts = each().zip(uris).zip(names);
    // Every forwarder is checked, before one that is missing makes nothing of all.
    let checked: Vec<_> =
        parts.map(|(((written, path), uri), name)| forwarder(written, name, uri, &sources, &path, report)).collect();
    checked.into_iter().collect()
}

/// The list and its path, under either of its names.
fn written<'f>(
    file: &'f ConfigFile,
    root: &Path,
    report: &mut Report,
) -> Option<(&'f [written::WrittenForwarder], Path)> {
    let (path, other) = (root.key("forwarders"), root.key("auditLogForwarders"));
    match (&file.forwarders, &file.audit_log_forwarders) {
        (Some(_), Some(_)) => {
            report.problem(&other, "is another name for forwarders: only one of them can be used");
            None
        }
        (Some(written), None) => Some((written, path)),
        (None, Some(written)) => Some((written, other)),
        (None, None) => {
            if !report.is_blamed(&other) {
                report.problem(&path, "is missing: nothing would be sent");
            }
            None
        }
    }
}

/// Each forwarder's name: as written, or made of its host.
fn names(
    written: &[written::WrittenForwarder],
    uris: &[Option<Uri>],
    path: &Path,
    report: &mut Report,
) -> Vec<String> {
    let at = |index: usize| path.index(index).key("name");
    let given = written.iter().enumerate();
    let given: Vec<_> = given.filter_map(|(i, forwarder)| Some((forwarder.name.as_deref()?, at(i)))).collect();
    name::check(given.iter().cloned(), report);
    let mut taken: BTreeSet<String> = given.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut names = Vec::new();
    for (index, (forwarder, uri)) in written.iter().zip(uris).enumerate() {
        let name = match (&forwarder.name, uri.as_ref().and_then(|uri| uri.expose().host_str())) {
            (Some(name), _) => name.clone(),
            (None, None) => String::new(),
            (None, Some(host)) => {
                let name = name::derive(host);
                if name.is_empty() || !taken.insert(name.clone()) {
                    let what = "is missing: the name that the uri's host would give is taken, so give it one";
                    report.problem(&at(index), what);
                }
                name
            }
        };
        names.push(name);
    }
    names
}

fn forwarder(
    written: &written::WrittenForwarder,
    name: String,
    uri: Option<Uri>,
    known: &[(&str, Option<System>)],
    path: &Path,
    report: &mut Report,
) -> Option<Forwarder> {
    let written::ForwarderKind::Webhook = written.kind.unwrap_or(written::ForwarderKind::Webhook);
    let defaults = profile::defaults(written.profile.unwrap_or_default());
    let (format, framing) = body(written, defaults.framing);
    let wrap = wrap::wrap(written.json.as_ref(), defaults.wrap, framing, path, report);
    let wrapped = wrap.is_some() || written.json.as_ref().is_some_and(|json| json.wrap.is_some());
    if (format, framing) == (Format::Cef, Framing::Array) && !wrapped {
        let what = "cannot be array with format cef: CEF is no JSON; use lines or single, or json.wrap";
        report.problem(&path.key("framing"), what);
    }
    let cef = cef::cef(written.cef.as_ref(), format, path, report);
    let compression = written.compression.map(|written| delivery::compression(written, path, report));
    let compression = compression.unwrap_or(defaults.compression);
    if compression == Compression::None && written.content_encoding.is_some() {
        report.problem(&path.key("contentEncoding"), "has no effect: the body is not compressed");
    }
    let text = |written: &Option<String>, default: &str, key: &str, report: &mut Report| {
        request::header_text(written.as_ref(), default, &path.key(key), report)
    };
    let content_type = defaults.content_type.unwrap_or_else(|| profile::content_type(format, framing, wrapped));
    let content_type = text(&written.content_type, content_type, "contentType", report);
    let content_encoding = text(&written.content_encoding, defaults.content_encoding, "contentEncoding", report);
    let user_agent = text(&written.user_agent, &defaults.user_agent, "userAgent", report);
    let auth = auth::auth(written, &defaults, path, report);
    let headers = request::headers(written, &auth, path, report);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let sources = followed(written, &names, path, report);
    let filter = filter::filter(written, &systems_of(&sources, known), path, report);
    let timeout = positive(written.timeout, TIMEOUT, &path.key("timeout"), report);
    let batch = delivery::batch(written, &defaults, framing, path, report);
    let retry = delivery::retry(written.retry.as_ref(), path, report);
    let probe = delivery::probe(written.retry.as_ref(), path, report);
    let tls = delivery::tls(written.tls.as_ref(), path, report);
    let responses = delivery::responses(written, path, report);
    let method = match written.method.unwrap_or(written::Method::Post) {
        written::Method::Post => Method::POST,
        written::Method::Put => Method::PUT,
        written::Method::Patch => Method::PATCH,
    };
    Some(Forwarder {
        name,
        uri: uri?,
        method,
        auth,
        headers,
        sources,
        filter,
        format,
        cef,
        framing,
        wrap,
        compression,
        content_type,
        content_encoding,
        user_agent,
        timeout,
        batch,
        retry,
        probe,
        in_flight: written.in_flight.unwrap_or(1),
        tls,
        responses,
        answers: match written.answers {
            None => defaults.answers,
            Some(written::WrittenAnswers::Status) => Answers::Status,
            Some(written::WrittenAnswers::Bulk) => Answers::Bulk,
        },
    })
}

fn body(written: &written::WrittenForwarder, default: Framing) -> (Format, Framing) {
    let format = match written.format.unwrap_or(written::WrittenFormat::Json) {
        written::WrittenFormat::Json => Format::Json,
        written::WrittenFormat::Cef => Format::Cef,
    };
    let framing = match written.framing {
        None => default,
        Some(written::WrittenFraming::Lines) => Framing::Lines,
        Some(written::WrittenFraming::Array) => Framing::Array,
        Some(written::WrittenFraming::Single) => Framing::Single,
    };
    (format, framing)
}

/// The sources it follows, in the configuration's order.
fn followed(written: &written::WrittenForwarder, known: &[&str], path: &Path, report: &mut Report) -> Vec<String> {
    let path = path.key("sources");
    let Some(named) = &written.sources else {
        return known.iter().map(|name| (*name).to_owned()).collect();
    };
    refuse_empty(Some(named), &path, "is empty: nothing would ever be sent; leave it out for every source", report);
    for (index, name) in named.iter().enumerate() {
        let path = path.index(index);
        // Where no source has a name, that has been complained of.
        if !known.contains(&name.as_str()) && !known.is_empty() {
            let written = report.written(&path);
            let near = nearest(name, known.iter().copied()).filter(|_| report.is_literal(&path, name));
            report.problem_near(&path, format!("no source is called {written}"), near);
        }
    }
    known.iter().filter(|name| named.iter().any(|named| named == *name)).map(|name| (*name).to_owned()).collect()
}

fn systems_of(sources: &[String], known: &[(&str, Option<System>)]) -> Vec<Option<System>> {
    let followed = known.iter().filter(|(name, _)| sources.iter().any(|source| source == name));
    followed.map(|(_, system)| *system).collect()
}
