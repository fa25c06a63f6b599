//! Who is let in.

use super::{super::auth::Denied, *};
use crate::config::{Hmac, HmacAlgorithm, HmacEncoding, Secret, Token};

/// From the tests of the Standard Webhooks libraries.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &str = "{\"test\": 2432232314}";
const SIGNED_AT: u64 = 1_614_265_330;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn inline(text: &str) -> Option<Token> {
    Some(Token::Inline(Secret::new(text)))
}

fn with(senders: Senders) -> HttpIntake {
    HttpIntake { senders, ..config() }
}

fn headers(pairs: &[(&'static str, &str)]) -> hyper::HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// What becomes of a signed request at a time.
fn judged(senders: &Senders, pairs: &[(&'static str, &str)], body: &[u8], now: u64) -> Result<(), Denied> {
    let guard = SenderAuth::new("app", senders);
    let mut claims = guard.admit(&headers(pairs), now)?;
    claims.update(body);
    guard.verify(claims, body)
}

#[test]
fn the_vectors_of_standard_webhooks_are_let_in_and_nothing_near_them() {
    use Denied::{Signature, Stale, Unsigned};
    let senders = Senders { signature: inline(SECRET), ..Senders::default() };
    let stamp = SIGNED_AT.to_string();
    let judge = |id: &str, stamp: &str, signature: &str, body: &str, now: u64| {
        let pairs = [("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature)];
        judged(&senders, &pairs, body.as_bytes(), now)
    };
    assert_eq!(judge(ID, &stamp, SIGNATURE, BODY, SIGNED_AT), Ok(()));
    let several = format!("v1a,hnO3f9T8 v1,AAAA {SIGNATURE} v2,x");
    assert_eq!(judge(ID, &stamp, &several, BODY, SIGNED_AT), Ok(()), "one of several is enough");
    assert_eq!(judge(ID, &stamp, SIGNATURE, BODY, SIGNED_AT + 300), Ok(()));
    assert_eq!(judge(ID, &stamp, SIGNATURE, BODY, SIGNED_AT + 301), Err(Stale));
    assert_eq!(judge(ID, &stamp, SIGNATURE, BODY, SIGNED_AT - 301), Err(Stale));
    assert_eq!(judge(ID, &stamp, SIGNATURE, "{\"test\": 2432232315}", SIGNED_AT), Err(Signature));
    assert_eq!(judge("msg_other", &stamp, SIGNATURE, BODY, SIGNED_AT), Err(Signature));
    assert_eq!(judge(ID, &(SIGNED_AT + 1).to_string(), SIGNATURE, BODY, SIGNED_AT), Err(Signature));
    for bad in ["", "v1,", "g0hM9SsE", "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
        assert!(judge(ID, &stamp, bad, BODY, SIGNED_AT).is_err(), "{bad:?}");
    }
    for bad in ["", "x", "-1", "+1614265330", "99999999999999999999999"] {
        assert_eq!(judge(ID, bad, SIGNATURE, BODY, SIGNED_AT), Err(Unsigned), "{bad:?}");
    }
}

#[test]
fn a_signature_may_be_of_the_body_as_sent_or_decoded() {
    let decoded = b"{\"seq\":1}\n{\"seq\":2}\n";
    let wire = config::base64(b"H4sIAAAAAAAC/6tWKk4tVLIyrOWqhrCMarkA+UJEThQAAAA=").unwrap();
    let senders = Senders { signature: inline(SECRET), ..Senders::default() };
    let guard = SenderAuth::new("app", &senders);
    let judge = |signature: &str| {
        let stamp = SIGNED_AT.to_string();
        let pairs = [("webhook-id", ID), ("webhook-timestamp", &stamp), ("webhook-signature", signature)];
        let mut claims = guard.admit(&headers(&pairs), SIGNED_AT)?;
        claims.update(&wire);
        guard.verify(claims, decoded)
    };
    assert_eq!(judge("v1,K3xFfDd5kHN0yB0oRRJIm7vPbh91to8oHbaw+kob8cQ="), Ok(()));
    assert_eq!(judge("v1,TtD3cx2JWSbYHLms15G/m8j+j8yH3S/d+hiDfvi3hO0="), Ok(()));
    assert_eq!(judge(SIGNATURE), Err(Denied::Signature));
}

#[test]
fn an_hmac_of_the_body_is_checked_in_each_of_its_forms() {
    // The well-known HMACs of this text with the key "key".
    let body = b"The quick brown fox jumps over the lazy dog";
    let sha256 = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    let sha1 = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";
    let senders = |algorithm, encoding, prefix: &str| Senders {
        hmac: Some(Hmac {
            secret: Token::Inline(Secret::new("key")),
            header: "x-signature".parse().unwrap(),
            algorithm,
            encoding,
            prefix: prefix.to_owned(),
        }),
        ..Senders::default()
    };
    let hex = senders(HmacAlgorithm::Sha256, HmacEncoding::Hex, "sha256=");
    let judge = |senders: &Senders, value: &str| judged(senders, &[("x-signature", value)], body, 0);
    assert_eq!(judge(&hex, &format!("sha256={sha256}")), Ok(()));
    assert_eq!(judge(&hex, &format!("sha256={}", sha256.to_uppercase())), Ok(()));
    for wrong in [sha256, "sha256=", "sha256=00", &format!("sha256={sha256}00"), &format!("sha256={sha1}")] {
        assert_eq!(judge(&hex, wrong), Err(Denied::Hmac), "{wrong}");
    }
    assert_eq!(judged(&hex, &[], body, 0), Err(Denied::Hmac));
    assert_eq!(judged(&hex, &[("x-signature", &format!("sha256={sha256}"))], b"other", 0), Err(Denied::Hmac));
    assert_eq!(judge(&senders(HmacAlgorithm::Sha1, HmacEncoding::Hex, ""), sha1), Ok(()));
    let base64 = senders(HmacAlgorithm::Sha256, HmacEncoding::Base64, "");
    assert_eq!(judge(&base64, "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg="), Ok(()));
}

#[tokio::test]
async fn a_token_lets_in_behind_any_scheme_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let senders = Senders { token: inline("s3cret"), ..Senders::default() };
    let running = start_with(dir.path(), with(senders), 1 << 20).await;
    for right in ["Bearer s3cret", "bearer s3cret", "Splunk s3cret", "s3cret"] {
        assert_eq!(running.post(&format!("Authorization: {right}\r\n"), "{}").await.status(), 202, "{right}");
    }
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer", "Bearer Bearer s3cret", "Basic czNjcmV0"] {
        let answered = running.post(&format!("Authorization: {wrong}\r\n"), "{}").await;
        assert_eq!(answered.status(), 401, "{wrong}");
        assert!(answered.has("\r\nwww-authenticate: Bearer") && !answered.has("s3cret"), "{answered:?}");
    }
    assert_eq!(running.post("", "{}").await.status(), 401);
    assert_eq!(running.lines().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_token_file_that_changes_counts_at_once_and_one_that_is_missing_puts_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let senders = Senders { token: Some(Token::File(file.clone())), ..Senders::default() };
    let running = start_with(dir.path(), with(senders), 1 << 20).await;
    let answered = running.post("Authorization: Bearer one\r\n", "{}").await;
    assert_eq!(answered.status(), 503, "{answered:?}");
    assert!(answered.has("\r\nretry-after: "));
    for token in ["one", "two"] {
        std::fs::write(dir.path().join("next"), format!("{token}\n")).unwrap();
        std::fs::rename(dir.path().join("next"), &file).unwrap();
        let headers = format!("Authorization: Bearer {token}\r\n");
        // A missing file is looked for once a second.
        let mut status = running.post(&headers, "{}").await.status();
        let end = time::Instant::now() + Duration::from_secs(10);
        while status == 503 && time::Instant::now() < end {
            time::sleep(Duration::from_millis(20)).await;
            status = running.post(&headers, "{}").await.status();
        }
        assert_eq!(status, 202, "{token}");
    }
    assert_eq!(running.post("Authorization: Bearer one\r\n", "{}").await.status(), 401);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(running.post("Authorization: Bearer two\r\n", "{}").await.status(), 202, "the last one counts");
    running.stop().await;
}

#[tokio::test]
async fn a_signed_request_is_checked_before_it_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let senders = Senders { signature: inline(SECRET), ..Senders::default() };
    let running = start_with(dir.path(), with(senders), 1 << 20).await;
    let now = request::unix_now();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &config::webhook_key(SECRET).unwrap());
    let signature = |body: &str| {
        use base64::Engine as _;
        let tag = ring::hmac::sign(&key, format!("m1.{now}.{body}").as_bytes());
        base64::engine::general_purpose::STANDARD.encode(tag)
    };
    let right = signature("{}");
    let headers = format!("webhook-id: m1\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{right}\r\n");
    assert_eq!(running.post(&headers, "{}").await.status(), 202);
    let answered = running.post(&headers, "[]").await;
    assert_eq!(answered.status(), 401, "{answered:?}");
    assert!(answered.has("\r\nwww-authenticate: "));
    assert_eq!(running.post("", "{}").await.status(), 401);
    assert_eq!(running.lines(), ["{}"]);
    running.stop().await;
}
