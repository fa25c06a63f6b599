//! SIGHUP with a configuration that is bad, half written, or that cannot be started in part.

use std::{fs, os::unix::fs::symlink};

use super::{alarms, hup, reload, reload_in_vain, to, yaml};
use crate::{events::numbers, receiver::Receiver, sidecar::Sidecar};

const LOG: &str = "logs/audit.ndjson";

/// It is cleared once all has started, which is a moment after it is said.
fn no_alarm(sidecar: &Sidecar) {
    sidecar.wait_for_status("no alarm", |status| status["alarms"].as_array().is_some_and(Vec::is_empty));
}

/// K8
#[test]
fn a_bad_configuration_changes_nothing_and_says_why() {
    let siem = Receiver::start();
    let good = yaml(&[to("siem", &siem, "")]);
    let mut sidecar = Sidecar::new().config(&good).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    for (bad, why) in [
        (yaml(&[to("siem", &siem, ", timout: 5s")]), "timout: unknown key; did you mean"),
        (
            yaml(&[to("siem", &siem, ", token: \\\"${NOT_SET}\\\"").replace('\\', "")]),
            "the variable NOT_SET is not set",
        ),
        (good.clone() + "}", "this is no valid YAML"),
        (String::new(), "is empty"),
    ] {
        let before = sidecar.times_said("not reloaded");
        reload_in_vain(&mut sidecar, &bad);
        let raised = alarms(&sidecar);
        assert_eq!(raised.len(), 1, "{raised:?}");
        assert!(raised[0].contains(why) && raised[0].contains("config.yaml:"), "{why:?} is not in {raised:?}");
        assert!(raised[0].contains("the configuration before stays in force"), "{raised:?}");
        assert_eq!(sidecar.times_said("not reloaded"), before + 1, "said once");
        assert_eq!(sidecar.get("/readyz").0, 200, "what runs is valid");
    }
    sidecar.write_lines(LOG, 10..20);
    assert_eq!(numbers(&siem.wait_for_lines(20)), (0..20).collect::<Vec<_>>());
    assert_eq!(siem.connections(), 1, "the old one was not touched");
    reload(&mut sidecar, &good);
    no_alarm(&sidecar);
    assert_eq!(sidecar.stop(), 0);
}

/// K11: every prefix of a new configuration, as an editor or `kubectl cp` may leave it for a moment.
#[test]
fn a_half_written_configuration_is_never_half_taken_over() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let old = yaml(&[to("siem", &siem, "")]);
    let mut sidecar = Sidecar::new().config(&old).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    sidecar.set_config(&yaml(&[to("siem", &siem, ""), to("archive", &archive, "")]));
    let whole = fs::read(sidecar.config_path()).unwrap();
    let second = whole.windows(7).position(|window| window == b"archive").unwrap();
    for cut in [1, second / 3, second / 2, second, second + 9, whole.len() - 3] {
        fs::write(sidecar.config_path(), &whole[..cut]).unwrap();
        hup(&sidecar, "not reloaded");
    }
    assert_eq!(archive.connections(), 0);
    fs::write(sidecar.config_path(), &whole).unwrap();
    hup(&sidecar, "reloaded: taking over");
    archive.wait_for_lines(10);
    assert_eq!(siem.connections(), 1);
    no_alarm(&sidecar);
    assert_eq!(sidecar.stop(), 0);
}

/// K12: a mounted ConfigMap is a symbolic link to a link to a directory, and the middle one is swapped.
#[test]
fn a_config_map_that_was_swapped_is_read_through_its_links() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.wait_for_log("forwarding");
    let (first, second) = (sidecar.path("..v1"), sidecar.path("..v2"));
    for dir in [&first, &second] {
        fs::create_dir(dir).unwrap();
    }
    fs::rename(sidecar.config_path(), first.join("config.yaml")).unwrap();
    sidecar.set_config(&yaml(&[to("siem", &siem, ""), to("archive", &archive, "")]));
    fs::rename(sidecar.config_path(), second.join("config.yaml")).unwrap();
    symlink("..v1", sidecar.path("..data")).unwrap();
    symlink("..data/config.yaml", sidecar.config_path()).unwrap();
    hup(&sidecar, "nothing is touched");
    symlink("..v2", sidecar.path("..data_tmp")).unwrap();
    sidecar.rename("..data_tmp", "..data");
    hup(&sidecar, "reloaded: taking over");
    sidecar.write_lines(LOG, 0..10);
    archive.wait_for_lines(10);
    siem.wait_for_lines(10);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_forwarder_that_cannot_be_started_holds_no_other_back() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    // Its directory cannot be made, for a file stands there. siem changes too, and comes after it.
    sidecar.append("state/forwarders/archive", "");
    let both = yaml(&[to("archive", &archive, ""), to("siem", &siem, ", timeout: 4s")]);
    sidecar.set_config(&both);
    hup(&sidecar, "it is not started, and the others run");
    let raised = alarms(&sidecar);
    assert!(raised.len() == 1 && raised[0].contains("archive is not a directory"), "{raised:?}");
    sidecar.write_lines(LOG, 10..20);
    assert_eq!(numbers(&siem.wait_for_lines(20)), (0..20).collect::<Vec<_>>());
    sidecar.remove("state/forwarders/archive");
    hup(&sidecar, "reloaded: taking over");
    assert_eq!(numbers(&archive.wait_for_lines(20)), (0..20).collect::<Vec<_>>());
    no_alarm(&sidecar);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn what_takes_effect_at_the_next_start_only_is_said() {
    let siem = Receiver::start();
    let config = yaml(&[to("siem", &siem, "")]);
    let mut sidecar = Sidecar::new().config(&config).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    reload(&mut sidecar, &config.replace("{dir}/state", "{dir}/other").replace("level: debug", "level: trace"));
    sidecar.wait_for_log("stateDir, admin and log take effect at the next start");
    sidecar.write_lines(LOG, 10..20);
    assert_eq!(numbers(&siem.wait_for_lines(20)), (0..20).collect::<Vec<_>>());
    assert!(!sidecar.path("other").exists());
    assert_eq!(sidecar.stop(), 0);
}
