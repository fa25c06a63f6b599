//! Answers that tell the fate of each event, as they come over the wire.

use tokio::io::AsyncWriteExt;

use super::{peer::*, *};
use crate::forwarder::judge::Fate;

/// What becomes of a request of so many events that is answered with these bytes, after which the connection ends.
async fn answer(events: usize, response: String) -> Answer {
    let peer = Peer::start(move |mut stream| {
        let response = response.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    })
    .await;
    let config = Forwarder { answers: Answers::Bulk, ..forwarder(&peer.uri()) };
    WebhookClient::new(&config).unwrap().send(Request { events, ..batch("{}\n") }).await
}

fn whole(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn cut(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{body}")
}

fn items(statuses: &[u16]) -> String {
    let item = |status: &u16| match status {
        400 => r#"{"create":{"status":400,"error":{"type":"mapper","reason":"no"}}}"#.to_owned(),
        status => format!(r#"{{"create":{{"status":{status}}}}}"#),
    };
    format!(r#"{{"errors":true,"items":[{}]}}"#, statuses.iter().map(item).collect::<Vec<_>>().join(","))
}

fn refused(cause: &str) -> Fate {
    Fate::Refused { status: 400, cause: cause.to_owned() }
}

#[tokio::test]
async fn each_item_tells_the_fate_of_its_event_also_where_the_answer_breaks_off() {
    let all = items(&[201, 400, 201, 429]);
    let told = &all[..all.find(r#",{"create":{"status":429"#).unwrap()];
    for (response, last) in [
        (whole(&all), Fate::Again),
        (whole(&items(&[201, 400, 409, 201])), Fate::Delivered),
        (cut(&format!(r#"{told},{{"cre"#)), Fate::Again),
        (whole(&format!(r#"{told},{{"cre"#)), Fate::Again),
    ] {
        let answer = answer(4, response).await;
        let Answer::Items { code: 200, fates, excerpt } = &answer else { panic!("{answer:?}") };
        assert_eq!(*fates, [Fate::Delivered, refused("mapper: no"), Fate::Delivered, last]);
        assert_eq!(
            (excerpt.as_str(), verdict(&answer)),
            ("first an item of 400 mapper: no", AnswerVerdict::Delivered)
        );
    }
}

#[tokio::test]
async fn where_all_events_share_a_fate_it_is_that_of_the_request() {
    for (statuses, code, expected) in [
        (vec![201, 201], 200, AnswerVerdict::Delivered),
        (vec![409, 201], 200, AnswerVerdict::Delivered),
        (vec![429, 429], 429, AnswerVerdict::Retry),
        (vec![503, 429], 503, AnswerVerdict::Retry),
        (vec![403, 403], 403, AnswerVerdict::Unauthorized),
        (vec![400], 400, AnswerVerdict::Narrow),
    ] {
        let answer = answer(statuses.len(), whole(&items(&statuses))).await;
        assert_eq!((answer.code(), verdict(&answer)), (Some(code), expected), "{statuses:?}: {answer:?}");
        assert!(matches!(answer, Answer::Status { .. }), "{answer:?}");
    }
    let answer = answer(2, whole(&items(&[400, 400]))).await;
    assert_eq!(verdict(&answer), AnswerVerdict::Narrow, "{answer:?}");
}

#[tokio::test]
async fn nonsense_settles_nothing_and_an_answer_that_says_nothing_yet_is_no_nonsense() {
    let coded = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 16\r\n\r\n{\"errors\":false}";
    for (response, expected) in [
        (whole("ok"), FailureKind::Protocol),
        (whole(&items(&[201])), FailureKind::Protocol),
        (whole(r#"{"errors":true}"#), FailureKind::Protocol),
        (coded.to_owned(), FailureKind::Protocol),
        (cut(r#"{"took":"#), FailureKind::Timeout),
    ] {
        let answer = answer(2, response).await;
        assert_eq!((kind(&answer), verdict(&answer)), (expected, AnswerVerdict::Retry), "{answer:?}");
        assert!(text(&answer).contains("what became of the events is not known"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_large_answer_is_read_whole() {
    let reason = "r".repeat(1500);
    let item = |n| match n {
        900 => format!(r#"{{"create":{{"status":400,"error":{{"type":"t","reason":"{reason}"}}}}}}"#),
        _ => format!(r#"{{"create":{{"_id":"{reason}","status":201}}}}"#),
    };
    let items: Vec<String> = (0..1000).map(item).collect();
    let answer = answer(1000, whole(&format!(r#"{{"errors":true,"items":[{}]}}"#, items.join(",")))).await;
    let Answer::Items { fates, .. } = &answer else { panic!("{answer:?}") };
    let delivered = fates.iter().filter(|fate| **fate == Fate::Delivered).count();
    assert_eq!((delivered, fates.len()), (999, 1000));
    assert!(matches!(&fates[900], Fate::Refused { status: 400, cause } if cause.starts_with("t: rrr")));
}
