//! Who may hand events over: bearer tokens, HMACs of the body, signatures of Standard Webhooks.
//!
//! Secrets are kept as keys, compared in a time that does not tell how much of a guess was right, and shown nowhere.
//! A secret in a file is read again when the file changes: at most a second later, and before anybody is refused for
//! it. While a file cannot be read its last content counts; where there never was one nobody is let in, for now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::{HeaderMap, header};
use ring::{
    hmac::{self, Key, Tag},
    rand::SystemRandom,
};
use tracing::warn;

use super::signed::Signed;
use crate::{
    config::{self, HmacAlgorithm, HmacEncoding, Secret, Token},
    token::{Purpose, SecretSource},
};

/// How often a secret's file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How far a signature's time may be from ours, either way: that of the Standard Webhooks libraries.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("a bearer token is missing or wrong")]
    Token,
    #[error("the HMAC of the body is missing or wrong")]
    Hmac,
    #[error("webhook-id, webhook-timestamp or webhook-signature is missing or cannot be read")]
    Unsigned,
    #[error("webhook-timestamp is more than five minutes from the time here")]
    Stale,
    #[error("the signature of the webhook is wrong")]
    Signature,
    /// Nobody's fault but ours, and it passes.
    #[error("a secret cannot be read at present")]
    NoSecret,
}

/// The checks of one source.
pub(super) struct SenderAuth {
    token: Option<Credential>,
    hmac: Option<(config::Hmac, Credential)>,
    signature: Option<Credential>,
}

/// What a request's head claims, to be held against its body.
pub(super) struct Claims {
    hmac: Option<Vec<u8>>,
    signed: Option<Signed>,
    /// What the body is told to while it arrives.
    wire: Vec<hmac::Context>,
}

impl SenderAuth {
    pub(super) fn new(source: &str, senders: &config::Senders) -> Self {
        let credential = |purpose, kind, token: &Token| Credential::new(source, purpose, kind, token);
        let hmac = senders.hmac.as_ref().map(|config| {
            let algorithm = match config.algorithm {
                HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
                HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            };
            (config.clone(), credential(Purpose::Signature, KeyKind::Text(algorithm), &config.secret))
        });
        Self {
            token: senders.token.as_ref().map(|token| credential(Purpose::Token, KeyKind::Token, token)),
            hmac,
            signature: senders
                .signature
                .as_ref()
                .map(|secret| credential(Purpose::Signature, KeyKind::Webhook, secret)),
        }
    }

    /// Judges what the head alone can tell, before any of the body is read. Blocks where a file must be read.
    pub(super) fn admit(&self, headers: &HeaderMap, unix_now: u64) -> Result<Claims, Denied> {
        if let Some(token) = &self.token {
            let given = headers.get(header::AUTHORIZATION).ok_or(Denied::Token)?.as_bytes();
            token.try_key(Denied::Token, |key| is_token(key, given))?;
        }
        let hmac = match &self.hmac {
            Some((config, _)) => Some(stated(config, headers).ok_or(Denied::Hmac)?),
            None => None,
        };
        let signed = match &self.signature {
            Some(_) => {
                let signed = Signed::read(headers).ok_or(Denied::Unsigned)?;
                if signed.timestamp.abs_diff(unix_now) > TOLERANCE.as_secs() {
                    return Err(Denied::Stale);
                }
                Some(signed)
            }
            None => None,
        };
        let mut claims = Claims { hmac, signed, wire: Vec::new() };
        claims.wire = self.contexts(&claims)?;
        Ok(claims)
    }

    /// Judges the whole: `claims` was told of the body as it was sent, `decoded` is what it said.
    ///
    /// A signature of a webhook may be one of the body as it was sent or of the decoded one: senders differ.
    pub(super) fn verify(&self, mut claims: Claims, decoded: &[u8]) -> Result<(), Denied> {
        let mut wire = std::mem::take(&mut claims.wire).into_iter();
        if let (Some(stated), Some(context)) = (&claims.hmac, self.hmac.as_ref().and_then(|_| wire.next()))
            && !equal(context.sign(), stated)
        {
            return Err(Denied::Hmac);
        }
        if let (Some(signed), Some(credential)) = (&claims.signed, &self.signature) {
            let as_sent = wire.next().map(hmac::Context::sign);
            if as_sent.is_some_and(|tag| signed.holds(|stated| equal(tag, stated))) {
                return Ok(());
            }
            let matches = |key: &Key| {
                let mut context = signed.begin(key);
                context.update(decoded);
                let tag = context.sign();
                signed.holds(|stated| equal(tag, stated))
            };
            credential.try_key(Denied::Signature, matches)?;
        }
        Ok(())
    }

    /// The HMAC's first, then the signature's.
    fn contexts(&self, claims: &Claims) -> Result<Vec<hmac::Context>, Denied> {
        let mut contexts = Vec::new();
        if let Some((_, credential)) = &self.hmac {
            contexts.push(hmac::Context::with_key(&*credential.reread_key(true).ok_or(Denied::NoSecret)?));
        }
        if let (Some(signed), Some(credential)) = (&claims.signed, &self.signature) {
            contexts.push(signed.begin(&*credential.reread_key(true).ok_or(Denied::NoSecret)?));
        }
        Ok(contexts)
    }
}

impl Claims {
    /// Bytes of the body as they were sent.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for context in &mut self.wire {
            context.update(bytes);
        }
    }
}

/// The HMAC that a header states.
fn stated(config: &config::Hmac, headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(&config.header)?.as_bytes().strip_prefix(config.prefix.as_bytes())?.trim_ascii();
    match config.encoding {
        HmacEncoding::Base64 => config::base64(value),
        HmacEncoding::Hex => hex(value),
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Whether an `Authorization` is the token, as it is or behind the name of a scheme. Senders write any.
fn is_token(key: &Key, given: &[u8]) -> bool {
    let behind = memchr::memchr(b' ', given).map(|at| given[at..].trim_ascii());
    // Both are always compared.
    let (whole, token) = (holds(key, given), behind.is_some_and(|token| holds(key, token)));
    whole | token
}

/// A token is kept as a key: two are the same where they sign the same.
fn holds(key: &Key, guess: &[u8]) -> bool {
    let guessed = Key::new(hmac::HMAC_SHA256, guess);
    equal(hmac::sign(&guessed, TOKEN_CONTEXT), hmac::sign(key, TOKEN_CONTEXT).as_ref())
}

const TOKEN_CONTEXT: &[u8] = b"auditpost bearer token";

/// In a time that depends on the lengths alone.
fn equal(tag: Tag, stated: &[u8]) -> bool {
    // ring compares what it signs, so both are signed with a key that is nobody's.
    Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
        .is_ok_and(|key| hmac::verify(&key, stated, hmac::sign(&key, tag.as_ref()).as_ref()).is_ok())
}

#[derive(Clone, Copy)]
enum KeyKind {
    Token,
    Text(hmac::Algorithm),
    /// `whsec_` and base64.
    Webhook,
}

/// One secret as a key; `None` where there never was one that could be read.
struct Credential {
    source: String,
    kind: KeyKind,
    state: Mutex<SecretReading>,
}

struct SecretReading {
    from: SecretSource,
    key: Option<Arc<Key>>,
    looked: Option<Instant>,
    failed: bool,
}

impl Credential {
    fn new(source: &str, purpose: Purpose, kind: KeyKind, token: &Token) -> Self {
        let from = SecretSource::new(purpose, token);
        let state = Mutex::new(SecretReading { from, key: None, looked: None, failed: false });
        Self { source: source.to_owned(), kind, state }
    }

    /// Tries the key as it is; before it fails, as the file has it now.
    fn try_key(&self, denied: Denied, matches: impl Fn(&Key) -> bool) -> Result<(), Denied> {
        let key = self.reread_key(false).ok_or(Denied::NoSecret)?;
        if matches(&key) {
            return Ok(());
        }
        let newer = self.reread_key(true);
        let changed = newer.filter(|newer| !Arc::ptr_eq(newer, &key));
        if changed.is_some_and(|newer| matches(&newer)) { Ok(()) } else { Err(denied) }
    }

    /// The key, read again where the file has changed; looked at where that is due, or asked for.
    fn reread_key(&self, now: bool) -> Option<Arc<Key>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now || state.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if due {
            let first = state.looked.replace(Instant::now()).is_none();
            if first || state.from.has_changed() {
                self.read(&mut state);
            }
        }
        state.key.clone()
    }

    fn read(&self, state: &mut SecretReading) {
        let key = state.from.read().map_err(|error| error.to_string()).and_then(|secret| {
            self.key(&secret).ok_or_else(|| "a signing secret is not whsec_ and base64".to_owned())
        });
        match key {
            Ok(key) => {
                state.key = Some(Arc::new(key));
                state.failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut state.failed, true) {
                    let effect = if state.key.is_some() { "the one before counts" } else { "senders are put off" };
                    warn!(source = self.source, "{error}; {effect} until it can be read");
                }
            }
        }
    }

    fn key(&self, secret: &Secret) -> Option<Key> {
        match self.kind {
            KeyKind::Token => Some(Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())),
            KeyKind::Text(algorithm) => Some(Key::new(algorithm, secret.expose().as_bytes())),
            KeyKind::Webhook => config::webhook_key(secret.expose()).map(|bytes| Key::new(hmac::HMAC_SHA256, &bytes)),
        }
    }
}
