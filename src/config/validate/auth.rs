//! The rules of who a forwarder is to its receiver: token, password, client.

use std::path::PathBuf;

use reqwest::header::{AUTHORIZATION, HeaderName};

use super::{
    super::{
        Auth, OAuth2, Secret, Token,
        path::Path,
        report::Report,
        written::{self, SecretText},
    },
    profile::Defaults,
    request,
};

pub(super) fn auth(
    written: &written::WrittenForwarder,
    defaults: &Defaults,
    path: &Path,
    report: &mut Report,
) -> Auth {
    let token = token(written, path, report);
    let none = written::WrittenAuth::default();
    let auth = written.auth.as_ref().unwrap_or(&none);
    let path = path.key("auth");
    let has_token = written.token.is_some() || written.token_file.is_some();
    one_way_only(auth, has_token, &path, report);
    let header = header(auth, &path, report);
    let scheme = scheme(auth, &path, report);
    match (token, &auth.basic, &auth.oauth2) {
        (Some(token), ..) => {
            let (default_header, default_scheme) = defaults.token;
            let (header, default_scheme) = match header {
                None => (HeaderName::from_static(default_header), default_scheme),
                Some(header) if header == default_header => (header, default_scheme),
                Some(AUTHORIZATION) => (AUTHORIZATION, Some("Bearer")),
                // A header of one's own has no word before the token, unless that is written too.
                Some(header) => (header, None),
            };
            Auth::Token { token, header, scheme: scheme.or(default_scheme.map(str::to_owned)) }
        }
        (None, Some(basic), _) => self::basic(basic, &path.key("basic"), report).unwrap_or(Auth::None),
        (None, None, Some(written_oauth2)) => {
            let at = path.key("oauth2");
            let client = oauth2(written_oauth2, written.allow_http, defaults.scope, &at, report);
            client.map_or(Auth::None, |client| Auth::OAuth2(Box::new(client)))
        }
        (None, None, None) => Auth::None,
    }
}

fn one_way_only(auth: &written::WrittenAuth, has_token: bool, path: &Path, report: &mut Report) {
    let ways = [("basic", auth.basic.is_some()), ("oauth2", auth.oauth2.is_some())];
    let mut before = has_token.then_some("token or tokenFile");
    for (key, _) in ways.into_iter().filter(|(_, written)| *written) {
        match before {
            Some(other) => {
                report.problem(&path.key(key), format!("stands beside {other}: only one of them can be used"));
            }
            None => before = Some(if key == "basic" { "auth.basic" } else { "auth.oauth2" }),
        }
    }
    for (key, written) in [("scheme", auth.scheme.is_some()), ("header", auth.header.is_some())] {
        if written && !has_token {
            report.problem(&path.key(key), "has no effect without token or tokenFile, which it says how to send");
        }
    }
}

fn token(written: &written::WrittenForwarder, path: &Path, report: &mut Report) -> Option<Token> {
    let token = secret(("token", &written.token), ("tokenFile", &written.token_file), path, report)?;
    if let Token::Inline(secret) = &token {
        let path = path.key("token");
        if secret.expose().is_empty() {
            report.problem(&path, "is empty");
        } else if !secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = "has a space, a line break or another character in it that no bearer token has";
            report.problem(&path, what);
        }
    }
    Some(token)
}

/// A secret of the configuration or of a file.
pub(super) fn secret(
    (key, inline): (&str, &Option<SecretText>),
    (file_key, file): (&str, &Option<PathBuf>),
    path: &Path,
    report: &mut Report,
) -> Option<Token> {
    match (inline, file) {
        (Some(_), Some(_)) => {
            report.problem(&path.key(file_key), format!("stands beside {key}: only one of them can be used"));
            None
        }
        // A variable often ends in the line end of the file that it was made from.
        (Some(SecretText(secret)), None) => {
            Some(Token::Inline(Secret::new(secret.expose().trim_end_matches(['\r', '\n']))))
        }
        (None, Some(file)) => {
            if file.as_os_str().is_empty() {
                report.problem(&path.key(file_key), "is empty: it must name a file");
            }
            Some(Token::File(file.clone()))
        }
        (None, None) => None,
    }
}

/// A password or a client's secret, which must be there.
pub(super) fn password(
    (key, inline): (&str, &Option<SecretText>),
    (file_key, file): (&str, &Option<PathBuf>),
    path: &Path,
    report: &mut Report,
) -> Option<Token> {
    let password = secret((key, inline), (file_key, file), path, report);
    match &password {
        Some(Token::Inline(secret)) if secret.expose().is_empty() => report.problem(&path.key(key), "is empty"),
        Some(Token::Inline(secret)) if secret.expose().chars().any(char::is_control) => {
            report.problem(&path.key(key), "has a line break or another control character in it");
        }
        None if !report.is_blamed(&path.key(key)) && !report.is_blamed(&path.key(file_key)) => {
            report.problem(path, format!("needs {key} or {file_key}"));
        }
        _ => {}
    }
    password
}

fn header(auth: &written::WrittenAuth, path: &Path, report: &mut Report) -> Option<HeaderName> {
    let path = path.key("header");
    match HeaderName::from_bytes(auth.header.as_ref()?.as_bytes()) {
        Ok(name) => {
            if let Some(what) = request::is_ours(name.as_str()) {
                report.problem(&path, what);
            }
            Some(name)
        }
        Err(_) => {
            report.problem(&path, "is no valid header name: letters, digits and - are");
            None
        }
    }
}

fn scheme(auth: &written::WrittenAuth, path: &Path, report: &mut Report) -> Option<String> {
    let scheme = auth.scheme.clone()?;
    // RFC 9110, section 5.6.2: a token.
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(valid) {
        report.problem(&path.key("scheme"), "must be one word, such as Bearer, Splunk or ApiKey");
    }
    Some(scheme)
}

fn basic(basic: &written::Basic, path: &Path, report: &mut Report) -> Option<Auth> {
    let username = basic.username.clone();
    if username.iter().any(|name| name.contains(':') || name.chars().any(char::is_control)) {
        // RFC 7617, section 2: the first colon ends the name.
        report.problem(&path.key("username"), "has a colon or a control character in it, which no user name may");
    }
    let password = password(("password", &basic.password), ("passwordFile", &basic.password_file), path, report);
    Some(Auth::Basic { username: username?, password: password? })
}

fn oauth2(
    oauth2: &written::WrittenOAuth2,
    allow_http: Option<bool>,
    scope: Option<&str>,
    path: &Path,
    report: &mut Report,
) -> Option<OAuth2> {
    let url = oauth2.token_url.as_deref();
    let token_url = url.and_then(|url| request::address(url, allow_http, &path.key("tokenUrl"), report));
    if oauth2.client_id.as_ref().is_some_and(String::is_empty) {
        report.problem(&path.key("clientId"), "is empty");
    }
    let client_secret = password(
        ("clientSecret", &oauth2.client_secret),
        ("clientSecretFile", &oauth2.client_secret_file),
        path,
        report,
    );
    Some(OAuth2 {
        token_url: token_url?,
        client_id: oauth2.client_id.clone()?,
        client_secret: client_secret?,
        scope: oauth2.scope.clone().or_else(|| scope.map(str::to_owned)),
        audience: oauth2.audience.clone(),
    })
}
