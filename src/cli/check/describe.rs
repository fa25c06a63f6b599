//! A configuration in words, as `auditpost check` prints it, without what is secret.

mod files;
mod pushed;

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use crate::{
    cli::printable::{printable, printable_path},
    config::{
        AnswerVerdict, Answers, Asked, Auth, CefConfig, Compression, CompressionLevel, ConditionRule, Config,
        DiagnosticsFormat, Dialect, EventTypes, FilterRules, Format, Forwarder, Framing, Schema, Source, SourceKind,
        Tls, Token, Wrap, size_text,
    },
};

/// What will run. It looks for the files that sources match now.
pub(super) fn describe(config: &Config, out: &mut String) -> fmt::Result {
    line(out, "state", config.state_dir.display())?;
    line(out, "drain", format_args!("at most {:?}", config.drain_timeout))?;
    match &config.admin {
        Some(admin) => line(out, "admin", format_args!("http://{}", admin.listen))?,
        None => line(out, "admin", "off")?,
    }
    let format = match config.diagnostics.format {
        DiagnosticsFormat::Text => "text",
        DiagnosticsFormat::Json => "json",
    };
    let level = config.diagnostics.level.to_string().to_lowercase();
    line(out, "log", format_args!("{level}, {format}"))?;
    for source in &config.sources {
        describe_source(source, out)?;
    }
    for forwarder in &config.forwarders {
        describe_forwarder(forwarder, out)?;
    }
    Ok(())
}

/// Whatever is in the value stays in its line.
fn line(out: &mut String, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(out, "  {name:<11}{}", printable(&value.to_string()))
}

fn describe_source(source: &Source, out: &mut String) -> fmt::Result {
    writeln!(out, "\nsource {}", source.name)?;
    if let SourceKind::File(file) = &source.kind {
        files::describe(file, out)?;
    }
    pushed::describe(&source.kind, out)?;
    let schema = match source.schema {
        Schema::Auto => "auto",
        Schema::Connect => "connect",
        Schema::Infrakitchen => "infrakitchen",
        Schema::Konnect => "konnect",
        Schema::Chainloop => "chainloop",
        Schema::Kubernetes => "kubernetes",
        Schema::Vault => "vault",
        Schema::Generic => "generic",
        Schema::Raw => "raw",
    };
    line(out, "schema", schema)?;
    if source.only_json {
        line(out, "only json", "lines that are no JSON object are filtered")?;
    }
    for (field, pointer) in &source.fields {
        line(out, "field", format_args!("{field} at {pointer}"))?;
    }
    line(out, "events", format_args!("at most {}", size_text(source.max_event_bytes as u64)))
}

fn describe_forwarder(forwarder: &Forwarder, out: &mut String) -> fmt::Result {
    writeln!(out, "\nforwarder {}", forwarder.name)?;
    line(out, "to", format_args!("{} {}", forwarder.method, forwarder.uri))?;
    auth(&forwarder.auth, out)?;
    if !forwarder.headers.is_empty() {
        let names: Vec<_> = forwarder.headers.iter().map(|(name, _)| name.as_str()).collect();
        line(out, "headers", format_args!("{} (values not shown)", names.join(", ")))?;
    }
    line(out, "follows", forwarder.sources.join(", "))?;
    line(out, "events", event_types(&forwarder.filter.enabled))?;
    if forwarder.filter.disabled != EventTypes::These(BTreeSet::new()) {
        line(out, "except", event_types(&forwarder.filter.disabled))?;
    }
    describe_rules(&forwarder.filter, out)?;
    line(out, "body", body(forwarder))?;
    if forwarder.format == Format::Cef {
        line(out, "cef", cef(&forwarder.cef))?;
    }
    if let Some(wrap) = &forwarder.wrap {
        self::wrap(wrap, out)?;
    }
    line(out, "agent", &forwarder.user_agent)?;
    let batch = &forwarder.batch;
    let size = size_text(batch.max_bytes as u64);
    line(out, "batch", format_args!("at most {}, {size}, {:?}", count(batch.max_events, "event"), batch.max_age))?;
    line(out, "in flight", count(forwarder.in_flight, "batch"))?;
    line(out, "timeout", format_args!("{:?}", forwarder.timeout))?;
    line(out, "retry", format_args!("after {:?}, then up to {:?}", forwarder.retry.initial, forwarder.retry.max))?;
    if forwarder.tls != Tls::default() {
        line(out, "tls", tls(&forwarder.tls))?;
    }
    for (status, verdict) in &forwarder.responses {
        line(out, "answer", format_args!("{status} means {}", verdict_word(*verdict)))?;
    }
    if forwarder.answers == Answers::Bulk {
        line(out, "answer", "2xx means what each of its items says")?;
    }
    Ok(())
}

/// Where the secret comes from and how it is sent; never the secret.
fn auth(auth: &Auth, out: &mut String) -> fmt::Result {
    let from = |secret: &Token| match secret {
        Token::Inline(_) => "from the configuration (not shown)".to_owned(),
        Token::File(path) => format!("from {}", printable_path(path)),
    };
    match auth {
        Auth::None => line(out, "token", "none"),
        Auth::Token { token, header, scheme } => {
            line(out, "token", from(token))?;
            match scheme {
                Some(scheme) if scheme == "Bearer" && *header == "authorization" => Ok(()),
                Some(scheme) => line(out, "sent as", format_args!("{header}: {scheme} …")),
                None => line(out, "sent as", format_args!("{header}: …")),
            }
        }
        Auth::Basic { username, password } => {
            line(out, "user", username)?;
            line(out, "password", from(password))
        }
        Auth::OAuth2(client) => {
            line(out, "token", format_args!("from {} for client {}", client.token_url, client.client_id))?;
            line(out, "secret", from(&client.client_secret))?;
            let for_what = [("scope", &client.scope), ("audience", &client.audience)];
            for_what
                .into_iter()
                .try_for_each(|(name, value)| value.iter().try_for_each(|value| line(out, name, value)))
        }
    }
}

fn wrap(wrap: &Wrap, out: &mut String) -> fmt::Result {
    if wrap.has_variable {
        return line(out, "wrap", "from the configuration (not shown: a variable stands in it)");
    }
    let shown = |text: &str| text.replace('\n', "\\n");
    line(out, "each event", shown(wrap.event.text()))?;
    if !wrap.prefix.is_empty() || !wrap.suffix.is_empty() {
        line(out, "all of them", format_args!("{}…{}", shown(&wrap.prefix), shown(&wrap.suffix)))?;
    }
    Ok(())
}

fn cef(cef: &CefConfig) -> String {
    let dialect = match cef.dialect {
        Dialect::Strict => "strict dialect",
        Dialect::Konnect => "konnect dialect",
    };
    let settings = [
        (!cef.prefix.is_empty(), "with a prefix".to_owned()),
        (!cef.map.is_empty(), format!("{} mapped", count(cef.map.len(), "key"))),
        (!cef.severity.is_empty(), "severities of its own".to_owned()),
        (cef.raw_event, "with the event as it came".to_owned()),
    ];
    let set = settings.into_iter().filter(|(set, _)| *set).map(|(_, words)| words);
    [dialect.to_owned()].into_iter().chain(set).collect::<Vec<_>>().join(", ")
}

fn describe_rules(filter: &FilterRules, out: &mut String) -> fmt::Result {
    for (name, words) in [("outcomes", &filter.outcomes), ("actors", &filter.actors), ("targets", &filter.targets)] {
        if !words.is_empty() {
            line(out, name, words.join(", "))?;
        }
    }
    for condition in &filter.conditions {
        line(out, "where", condition_words(condition))?;
    }
    Ok(())
}

fn condition_words(condition: &ConditionRule) -> String {
    let mut words = match &condition.asked {
        Asked::Field(field) => field.to_string(),
        Asked::Pointer(pointer) => pointer.clone(),
    };
    if let Some(is_in) = &condition.is_in {
        words.push_str(&format!(" is {}", is_in.join(" or ")));
    }
    if !condition.not_in.is_empty() {
        words.push_str(&format!(" is not {}", condition.not_in.join(" nor ")));
    }
    if let Some(pattern) = &condition.matches {
        words.push_str(&format!(" matches {}", pattern.0.as_str()));
    }
    match condition.exists {
        Some(true) => words.push_str(" exists"),
        Some(false) => words.push_str(" does not exist"),
        None => {}
    }
    words
}

fn event_types(types: &EventTypes) -> String {
    match types {
        EventTypes::All => "all".to_owned(),
        EventTypes::These(types) => types.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn body(forwarder: &Forwarder) -> String {
    let format = match forwarder.format {
        Format::Json => "json",
        Format::Cef => "cef",
    };
    let framing = match forwarder.framing {
        Framing::Lines => "a line each",
        Framing::Array => "one array",
        Framing::Single => "one event a request",
    };
    let compression = match forwarder.compression {
        Compression::None => "not compressed".to_owned(),
        Compression::Gzip(level) => {
            let level = match level {
                CompressionLevel::Fast => "fast".to_owned(),
                CompressionLevel::Default => "default".to_owned(),
                CompressionLevel::Best => "best".to_owned(),
                CompressionLevel::Number(number) => number.to_string(),
            };
            format!("gzip ({level}) as {}", forwarder.content_encoding)
        }
    };
    format!("{format}, {framing}, {}, {compression}", forwarder.content_type)
}

fn tls(tls: &Tls) -> String {
    let mut parts = Vec::new();
    if let Some(ca) = &tls.ca_file {
        parts.push(format!("trusts {}", ca.display()));
    }
    if let Some(client) = &tls.client {
        parts.push(format!("shows {} (key {})", client.cert_file.display(), client.key_file.display()));
    }
    if tls.insecure_skip_verify {
        parts.push("trusts whoever answers".to_owned());
    }
    parts.join(", ")
}

fn verdict_word(verdict: AnswerVerdict) -> &'static str {
    match verdict {
        AnswerVerdict::Delivered => "delivered",
        AnswerVerdict::Retry => "retry",
        AnswerVerdict::Unauthorized => "unauthorized",
        AnswerVerdict::Hold => "hold",
        AnswerVerdict::Halve => "halve",
        AnswerVerdict::Narrow => "narrow",
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ if noun.ends_with("ch") => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}
