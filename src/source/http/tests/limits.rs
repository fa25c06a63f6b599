//! Senders that ask for too much, and times when nothing can be taken.

use super::*;

#[tokio::test]
async fn a_full_spool_puts_off_and_says_for_how_long() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_with(dir.path(), config(), 1500).await;
    let filler = format!("\"{}\"", "x".repeat(998));
    assert_eq!(running.post("", &filler).await.status(), 202);
    let answered = running.post("", &filler).await;
    assert_eq!(answered.status(), 503);
    assert!(answered.has("\r\nretry-after: 30\r\n"), "{answered:?}");
    let never = running.post("", format!("{filler}\n{filler}")).await;
    assert_eq!(never.status(), 413, "what never fits is not asked to come again: {never:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_spool_that_has_stopped_puts_off() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    running.stop_spool.cancel();
    while !running.spool.is_finished() {
        time::sleep(Duration::from_millis(5)).await;
    }
    let answered = running.post("", "{}").await;
    assert_eq!(answered.status(), 503);
    assert!(answered.has("\r\nretry-after: 5\r\n"), "{answered:?}");
    running.stop().await;
}

#[tokio::test]
async fn bombs_and_bodies_above_the_cap_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert_eq!(running.post("Content-Encoding: gzip\r\n", &bomb).await.status(), 413);
    let nested = gzip(&gzip(b"{}"));
    assert_eq!(running.post("", &nested).await.status(), 400);
    let whole = gzip(b"{\"n\":1}");
    assert_eq!(running.post("", &whole[..whole.len() - 4]).await.status(), 400);
    assert_eq!(running.post("Content-Encoding: br\r\n", "{}").await.status(), 415);
    assert_eq!(running.post("", vec![b' '; (1 << 20) + 1]).await.status(), 413);
    let chunk = format!("100001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x10_0001));
    let head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(running.raw(format!("{head}{chunk}").as_bytes()).await.status(), 413, "no length was announced");
    assert!(running.lines().is_empty());
    // Each with its reason.
    let counted = |reason| running.stats.refused(reason);
    assert_eq!((counted(IntakeRefusal::Size), counted(IntakeRefusal::Body), counted(IntakeRefusal::Busy)), (3, 3, 0));
    running.stop().await;
}

#[tokio::test]
async fn who_waits_for_100_continue_gets_it_or_the_refusal_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let head = |bytes: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {bytes}\r\n\r\n"
        )
    };
    let mut stream = running.connect().await;
    stream.write_all(head(2).as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.status(), 202);
    let refused = running.raw(head(2 << 20).as_bytes()).await;
    assert_eq!(refused.status(), 413, "{refused:?}");
    running.stop().await;
}

#[tokio::test]
async fn who_is_slow_is_let_go_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let mut slow_head = running.connect().await;
    slow_head.write_all(b"POST / HTTP/1.1\r\nHos").await.unwrap();
    let mut slow_body = running.connect().await;
    slow_body.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
    assert_eq!(running.post("", "{}").await.status(), 202);
    let answered = read_to_end(&mut slow_body).await;
    assert_eq!(answered.status(), 503, "a slow network passes: {answered:?}");
    assert!(answered.has("\r\nretry-after: "));
    assert_eq!(running.stats.refused(IntakeRefusal::Slow), 1);
    read_to_end(&mut slow_head).await;
    let mut silent = running.connect().await;
    read_to_end(&mut silent).await;
    assert_eq!(running.lines(), ["{}"]);
    running.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_again_and_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_with(dir.path(), HttpIntake { max_connections: 2, ..config() }, 1 << 20).await;
    let begin = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{";
    let mut holders = [running.connect().await, running.connect().await];
    for holder in &mut holders {
        holder.write_all(begin).await.unwrap();
    }
    let answered = running.post("", "{}").await;
    assert_eq!(answered.status(), 429, "{answered:?}");
    assert!(answered.has("\r\nretry-after: 1\r\n"));
    assert_eq!(running.stats.refused(IntakeRefusal::Busy), 1);
    for holder in &mut holders {
        holder.write_all(b"}").await.unwrap();
        assert_eq!(read_to_end(holder).await.status(), 202);
    }
    let end = time::Instant::now() + Duration::from_secs(10);
    while running.post("", "{}").await.status() != 202 {
        assert!(time::Instant::now() < end);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_takes_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let mut idle = running.connect().await;
    idle.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let mut under_way = running.connect().await;
    under_way
        .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    let mut interim = [0; 25];
    under_way.read_exact(&mut interim).await.unwrap();
    running.stop.cancel();
    read_to_end(&mut idle).await;
    while TcpStream::connect(running.addr).await.is_ok() {
        time::sleep(Duration::from_millis(5)).await;
    }
    under_way.write_all(b"{\"n\":1}").await.unwrap();
    assert_eq!(read_to_end(&mut under_way).await.status(), 202);
    assert_eq!(running.lines(), ["{}", "{\"n\":1}"]);
    running.stop().await;
}
