//! The builder itself.

use super::Sidecar;

#[test]
fn it_runs_the_real_binary() {
    let (status, stdout, stderr) = Sidecar::new().command(&["--version"]);
    let version = concat!("auditpost ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((status, stdout.as_str(), stderr.as_str()), (0, version, ""));
}

#[test]
fn the_parts_make_one_configuration() {
    let sidecar = Sidecar::new()
        .file_source_with("app", "logs/*.ndjson", "scanInterval: 50ms")
        .forwarder("siem", "http://127.0.0.1:1/", "timeout: 1s\nbatch: {maxAge: 50ms}")
        .top("drainTimeout: 1s");
    let dir = sidecar.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    assert_eq!(
        sidecar.yaml(),
        format!(
            "stateDir: \"{dir}/state\"\n\
             admin: {{listen: \"127.0.0.1:0\"}}\nlog: {{level: debug}}\ndrainTimeout: 1s\n\
             sources:\n- name: app\n  kind: file\n  include: [\"{dir}/logs/*.ndjson\"]\n  scanInterval: 50ms\n\
             forwarders:\n- name: siem\n  uri: http://127.0.0.1:1/\n  timeout: 1s\n  batch: {{maxAge: 50ms}}\n"
        )
    );
}

#[test]
fn files_are_rotated_as_rotators_do() {
    let sidecar = Sidecar::new();
    sidecar.write_lines("logs/a", 0..2);
    sidecar.copytruncate("logs/a", "logs/a.1");
    assert_eq!(sidecar.read("logs/a"), "");
    assert_eq!(sidecar.read("logs/a.1"), crate::events::lines(0..2));
    sidecar.append("logs/a", "x\n");
    sidecar.rename("logs/a", "logs/a.1");
    let all = sidecar.read_all("logs");
    assert_eq!(all, [("logs/a.1".to_owned(), "x\n".to_owned())]);
    sidecar.truncate("logs/a.1", 1);
    assert_eq!(sidecar.read("logs/a.1"), "x");
    sidecar.remove("logs/a.1");
    assert!(sidecar.read_all("logs").is_empty());
}
