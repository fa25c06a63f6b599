//! The public keys of a JWKS, and whether one of them signed something.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;

const KEY: usize = 32;

/// A key that signs audit records.
#[derive(Debug)]
pub(super) struct KonnectKey {
    /// As the JWKS names it; its place there where it has no name.
    pub(super) id: String,
    public: UnparsedPublicKey<[u8; KEY]>,
}

/// What a JWKS holds.
#[derive(Debug)]
pub(super) struct KonnectKeys {
    pub(super) keys: Vec<KonnectKey>,
    /// Those that cannot be used, and why.
    pub(super) skipped: Vec<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    x: Option<String>,
}

impl KonnectKeys {
    /// RFC 7517, section 5, and RFC 8037, section 2: `{"keys":[{"kty":"OKP","crv":"Ed25519","x":…}]}`.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let jwks: Jwks = serde_json::from_slice(text).map_err(|error| format!("it is no JWKS: {error}"))?;
        let mut read = Self { keys: Vec::new(), skipped: Vec::new() };
        for (index, jwk) in jwks.keys.into_iter().enumerate() {
            let id = jwk.kid.clone().unwrap_or_else(|| format!("number {}", index + 1));
            match jwk.public() {
                Ok(public) => read.keys.push(KonnectKey { id, public: UnparsedPublicKey::new(&ED25519, public) }),
                Err(why) => read.skipped.push(format!("key {id} is not used: {why}")),
            }
        }
        Ok(read)
    }

    /// The key that signed one of the payloads. Records do not say which it was, so all are tried.
    pub(super) fn signer<'k, P: AsRef<[u8]>>(&'k self, payloads: &[P], signature: &[u8]) -> Option<&'k KonnectKey> {
        let signed =
            |key: &KonnectKey| payloads.iter().any(|payload| key.public.verify(payload.as_ref(), signature).is_ok());
        self.keys.iter().find(|key| signed(key))
    }
}

impl Jwk {
    fn public(&self) -> Result<[u8; KEY], String> {
        if self.kty != "OKP" || self.crv.as_deref() != Some("Ed25519") {
            return Err("it is not for Ed25519".to_owned());
        }
        let x = self.x.as_deref().ok_or("it has no x")?;
        let bytes = URL_SAFE_NO_PAD.decode(x.trim_end_matches('=')).map_err(|error| format!("its x: {error}"))?;
        let length = bytes.len();
        bytes.try_into().map_err(|_| format!("its x has {length} bytes instead of {KEY}"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const X: &str = "iK4cE1k7FrWTAlPQekfoF8TIjsisQNMhZtahWhguqW8";

    #[test]
    fn keys_that_cannot_be_used_are_told_and_hide_no_other() {
        let text = format!(
            r#"{{"keys":[{{"kty":"RSA","kid":"r","n":"x"}},{{"kty":"OKP","crv":"Ed25519","kid":"long","x":"{X}A"}},
            {{"kty":"OKP","crv":"Ed25519"}},{{"kty":"OKP","crv":"X25519","x":"{X}"}},{{"kty":"OKP","crv":"Ed25519","x":"{X}"}}]}}"#
        );
        let read = KonnectKeys::read(text.as_bytes()).unwrap();
        assert_eq!(read.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["number 5"]);
        assert_eq!(read.skipped.len(), 4);
        assert!(read.skipped[0].contains("key r is not used: it is not for Ed25519"), "{:?}", read.skipped);
    }

    #[test]
    fn what_is_no_jwks_is_refused() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(KonnectKeys::read(text.as_bytes()).unwrap_err().starts_with("it is no JWKS"), "{text}");
        }
    }
}
