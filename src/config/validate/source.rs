//! The rules of `sources`.

use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        CriStream, Exclude, FileSource, FollowLinks, LineFormat, Schema, Source, SourceKind, StartAt,
        path::Path,
        report::Report,
        written::{self, EventSchema, FieldMap, FileFormat, ReadyMap, Stream, WrittenFollowLinks},
    },
    bounded, http, keys, name, positive, pushed, refuse_empty,
};
use crate::{
    glob::{GlobFault, PathGlob, expand},
    schema::{Field, System},
};

const MAX_EVENT_BYTES: usize = 1 << 20;
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Scanning more often would burn a core.
const LEAST_SCAN_INTERVAL: Duration = Duration::from_millis(10);
const SEAL_AFTER: Duration = Duration::from_secs(30);
/// A receiver that is merely slow has read most of it by then; a crash sooner loses what is left.
const HOLD_DELETED: Duration = Duration::from_secs(60);

pub(super) fn sources(
    written: Option<&[written::WrittenSource]>,
    path: &Path,
    report: &mut Report,
) -> Option<Vec<Source>> {
    let Some(written) = written else {
        report.problem(path, "is missing: nothing would be read");
        return None;
    };
    refuse_empty(Some(written), path, "is empty: nothing would be read", report);
    let each = || written.iter().enumerate().map(|(index, source)| (source, path.index(index)));
    let names = each().filter_map(|(source, path)| Some((source.name.as_deref()?, path.key("name"))));
    name::check(names, report);
    one_reads_stdin(written, path, report);
    // Every source is checked, before one that is missing makes nothing of all.
    let checked: Vec<_> = each().map(|(written, path)| source(written, &path, report)).collect();
    checked.into_iter().collect()
}

/// Two that read the same input would each get half of it.
fn one_reads_stdin(written: &[written::WrittenSource], path: &Path, report: &mut Report) {
    let reads = |source: &written::WrittenSource| source.kind == Some(written::WrittenSourceKind::Stdin);
    for (index, _) in written.iter().enumerate().filter(|(_, source)| reads(source)).skip(1) {
        report.problem(&path.index(index).key("kind"), "is a second source that reads standard input: there is one");
    }
}

fn source(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<Source> {
    let kind = kind(written, path, report);
    let (schema, fields) = event_schema(written, path, report);
    let max_event_bytes = bounded(written.max_event_bytes, MAX_EVENT_BYTES, &path.key("maxEventBytes"), report);
    let only_json = written.only_json.unwrap_or(false);
    if only_json && schema == Schema::Raw {
        report.problem(&path.key("onlyJson"), "has no effect: with schema: raw every line is an event");
    }
    Some(Source { name: written.name.clone()?, kind: kind?, schema, fields, max_event_bytes, only_json })
}

fn kind(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SourceKind> {
    use written::WrittenSourceKind as Kind;
    let kind = written.kind.unwrap_or(Kind::File);
    keys::check(written, kind, path, report);
    match kind {
        Kind::File => Some(SourceKind::File(file(written, path, report))),
        Kind::Stdin => Some(pushed::stdin(written, path, report)),
        Kind::Unix => pushed::unix(written, path, report),
        Kind::Tcp => pushed::tcp(written, path, report),
        Kind::Udp => pushed::udp(written, path, report),
        Kind::Http => http::http(written, path, report),
    }
}

/// What its lines are, and where it has fields of its own.
fn event_schema(
    written: &written::WrittenSource,
    path: &Path,
    report: &mut Report,
) -> (Schema, Vec<(Field, String)>) {
    let schema = named(written.schema.unwrap_or(EventSchema::Auto));
    let path = path.key("fields");
    match &written.fields {
        None => (schema, Vec::new()),
        Some(_) if schema != Schema::Generic => {
            report.problem(&path, "has no effect: fields are for sources with schema: generic");
            (schema, Vec::new())
        }
        Some(FieldMap::Ready(ReadyMap::Kubernetes)) => (Schema::Kubernetes, Vec::new()),
        Some(FieldMap::Ready(ReadyMap::Vault)) => (Schema::Vault, Vec::new()),
        Some(FieldMap::Own(fields)) => (schema, own_fields(fields, &path, report)),
    }
}

fn own_fields(written: &BTreeMap<String, String>, path: &Path, report: &mut Report) -> Vec<(Field, String)> {
    let mut fields = Vec::new();
    for (name, pointer) in written {
        let path = path.key(name);
        let field = super::filter::field(name, true, &path, report);
        if super::filter::is_pointer(pointer, &path, report)
            && let Some(field) = field
        {
            fields.push((field, pointer.clone()));
        }
    }
    fields
}

/// The system that every record of the source is of, where its schema says so.
pub(super) fn system(written: &written::WrittenSource) -> Option<System> {
    match named(written.schema.unwrap_or(EventSchema::Auto)) {
        Schema::Auto | Schema::Generic | Schema::Raw => None,
        Schema::Connect => Some(System::Connect),
        Schema::Infrakitchen => Some(System::InfraKitchen),
        Schema::Konnect => Some(System::Konnect),
        Schema::Chainloop => Some(System::Chainloop),
        Schema::Kubernetes => Some(System::Kubernetes),
        Schema::Vault => Some(System::Vault),
    }
}

fn named(written: EventSchema) -> Schema {
    match written {
        EventSchema::Auto => Schema::Auto,
        EventSchema::Connect => Schema::Connect,
        EventSchema::Infrakitchen => Schema::Infrakitchen,
        EventSchema::Konnect => Schema::Konnect,
        EventSchema::Chainloop => Schema::Chainloop,
        EventSchema::Kubernetes => Schema::Kubernetes,
        EventSchema::Vault => Schema::Vault,
        EventSchema::Generic => Schema::Generic,
        EventSchema::Raw => Schema::Raw,
    }
}

fn file(written: &written::WrittenSource, path: &Path, report: &mut Report) -> FileSource {
    let include = path.key("include");
    if written.include.is_none() {
        report.problem(&include, "is missing: the paths or globs of the files to follow");
    }
    refuse_empty(written.include.as_deref(), &include, "is empty: no file would be followed", report);
    globs(written.include.as_deref(), &include, report, |glob| PathGlob::new(glob).map(drop), |_| true);
    let is_path = |glob: &str| glob.contains('/');
    globs(written.exclude.as_deref(), &path.key("exclude"), report, |glob| Exclude::new(glob).map(drop), is_path);
    let scan = path.key("scanInterval");
    let scan_interval = written.scan_interval.map_or(SCAN_INTERVAL, |written| written.0);
    if scan_interval < LEAST_SCAN_INTERVAL {
        report.problem(&scan, format!("{} is too short: 10ms is the least", report.written(&scan)));
    }
    FileSource {
        include: written.include.clone().unwrap_or_default(),
        exclude: written.exclude.clone().unwrap_or_default(),
        follow_links: match written.follow_links.unwrap_or(WrittenFollowLinks::Within) {
            WrittenFollowLinks::Within => FollowLinks::Within,
            WrittenFollowLinks::Always => FollowLinks::Always,
            WrittenFollowLinks::Never => FollowLinks::Never,
        },
        start_at: match written.start_at.unwrap_or(written::WrittenStartAt::Beginning) {
            written::WrittenStartAt::Beginning => StartAt::Beginning,
            written::WrittenStartAt::End => StartAt::End,
        },
        scan_interval,
        seal_after: positive(written.seal_after, SEAL_AFTER, &path.key("sealAfter"), report),
        hold_deleted: written.hold_deleted.map_or(HOLD_DELETED, |written| written.0),
        spool: (written.spool == Some(true)).then(|| pushed::spool(written, path, report)),
        format: line_format(written, path, report),
    }
}

fn line_format(written: &written::WrittenSource, path: &Path, report: &mut Report) -> LineFormat {
    if written.format.unwrap_or(FileFormat::Lines) == FileFormat::Lines {
        if written.stream.is_some() {
            report.problem(&path.key("stream"), "has no effect: it is for files of format: cri");
        }
        return LineFormat::Lines;
    }
    if written.spool == Some(true) {
        let why = "does not go with format: cri: a request names the container by its file, and the kubelet renames what it rotates, so that nothing is lost without a spool";
        report.problem(&path.key("spool"), why);
    }
    LineFormat::Cri(match written.stream.unwrap_or(Stream::Stdout) {
        Stream::Stdout => CriStream::Stdout,
        Stream::Stderr => CriStream::Stderr,
    })
}

/// `is_path` tells those in which a `~` at the beginning would be meant for a home directory.
fn globs(
    written: Option<&[String]>,
    path: &Path,
    report: &mut Report,
    compile: impl Fn(&str) -> Result<(), GlobFault>,
    is_path: impl Fn(&str) -> bool,
) {
    for (index, glob) in written.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let in_a_home = |glob: &String| glob.starts_with('~') && is_path(glob);
        if glob.is_empty() {
            report.problem(&path, "is empty: it must be a path or a glob");
        } else if let Err(fault) = compile(glob) {
            report.problem(&path, format!("{} is no valid glob: {fault}", report.written(&path)));
        } else if expand(glob).is_ok_and(|globs| globs.iter().any(in_a_home)) {
            let why = "begins with ~, which is not expanded, so it means no file in a home directory: write that \
                       directory out, or ${HOME}; for a name that begins with ~ write ./~";
            report.problem(&path, format!("{} {why}", report.written(&path)));
        }
    }
}
