//! The admin pages of the running binary, and `auditpost status`, which reads them.

use std::net::TcpListener;

use super::{to, yaml};
use crate::{
    http,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";

#[test]
fn the_pages_say_how_it_is() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    archive.always(Reply::status(403).body("not you"));
    let config = yaml(&[to("siem", &siem, ", disabledEvents: [login]"), to("archive", &archive, "")]);
    let config = config.replace("drainTimeout: 10s", "drainTimeout: 200ms");
    let mut sidecar = Sidecar::new().config(&config).start();
    sidecar.write_lines(LOG, 0..30);
    sidecar.append(LOG, "no json\n");
    siem.wait_for_lines(20);
    sidecar.wait_for_metrics("archive is held", |metrics| metrics.state("archive") == Some("held"));
    let metrics = sidecar.wait_for_metrics("the backlogs are known", |metrics| {
        let backlog = |forwarder: &str| metrics.sum("auditpost_backlog_bytes", &[("forwarder", forwarder)]);
        metrics.events("siem", "delivered") == 20 && backlog("siem") == 0.0 && backlog("archive") > 0.0
    });
    metrics.assert_books_balance();
    let result = |result: &str| metrics.events("siem", result);
    assert_eq!((result("filtered"), result("dead_lettered"), result("gap")), (10, 1, 0));
    assert_eq!(metrics.get("auditpost_forwarder_state", &[("forwarder", "siem"), ("state", "ready")]), Some(1.0));

    // A peer that refuses us is no reason to restart us, nor to take us out of service.
    assert_eq!(sidecar.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(sidecar.get("/readyz"), (200, "ok\n".to_owned()));
    let status = sidecar.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&status["forwarders"][0]["name"], &status["forwarders"][1]["state"]),
        (&"siem".into(), &"held".into())
    );
    assert_eq!(status["alarms"][0]["object"], "forwarder archive");
    let (code, page) = sidecar.get("/");
    assert_eq!(code, 200);
    for words in ["siem", "archive", "held", "403"] {
        assert!(page.contains(words), "{words:?} is not on the page:\n{page}");
    }
    assert_eq!(sidecar.get("/elsewhere").0, 404);
    assert_eq!(http::post(sidecar.admin(), "/status", b"{}").unwrap(), 405);
    assert_eq!(sidecar.stop(), 10, "archive has a backlog");
}

#[test]
fn status_prints_a_table() {
    let siem = Receiver::start();
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    sidecar.wait_for_metrics("all is delivered", |metrics| metrics.events("siem", "delivered") == 10);
    let admin = format!("http://{}", sidecar.admin());
    let (status, stdout, stderr) = sidecar.command(&["status", "--admin", &admin]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    let row = |name: &str| -> Vec<&str> {
        let line = stdout.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{stdout}")).split_whitespace().collect()
    };
    assert_eq!(row("siem")[1], "ready");
    assert_eq!(row("FORWARDER")[4], "DELIVERED");
    assert!(row("siem").contains(&"10"), "{stdout}");
    assert_eq!(row("app"), ["app", "1", "1", "0", "0", "0", "none"]);
    assert!(stdout.ends_with("\nno alarms\n"), "{stdout}");
    assert_eq!(sidecar.stop(), 0);
    let (status, stdout, stderr) = sidecar.command(&["status", "--admin", &admin]);
    assert_eq!((status, stdout.as_str()), (74, ""));
    assert!(stderr.contains("refused") && stderr.contains("is it running"), "{stderr}");
}

#[test]
fn an_admin_port_that_is_taken_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let siem = Receiver::start();
    let config = yaml(&[to("siem", &siem, "")]).replace("127.0.0.1:0\"}", &format!("{addr}\"}}"));
    let sidecar = Sidecar::new().config(&config);
    sidecar.write_lines(LOG, 0..10);
    let (status, _, stderr) = sidecar.command(&["run"]);
    assert_eq!(status, 73);
    assert!(stderr.contains(&addr) && stderr.contains("nothing was started"), "{stderr}");
    assert_eq!(siem.connections(), 0);
}

#[test]
fn without_admin_nothing_listens() {
    let siem = Receiver::start();
    let config = yaml(&[to("siem", &siem, "")]).replace("admin: {listen: \"127.0.0.1:0\"}\n", "");
    let mut sidecar = Sidecar::new().config(&config).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    let tcp = std::fs::read_to_string(format!("/proc/{}/net/tcp", sidecar.pid())).unwrap();
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).unwrap();
    let inodes: Vec<String> = sockets
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let listening = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&"0A") && fields.get(9).is_some_and(|inode| inodes.iter().any(|own| own == inode))
    };
    assert_eq!(tcp.lines().filter(listening).count(), 0, "{tcp}");
    assert_eq!(sidecar.stop(), 0);
}
