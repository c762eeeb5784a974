// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the configuration file.

use super::*;
use clap::Parser as _;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("f")).map_err(|error| error.to_string())
}

fn load(text: &str, arguments: &[&str]) -> Result<Config, String> {
    let mut config = parse(text)?;
    config.apply(&Cli::try_parse_from([&["dpvs"], arguments].concat()).unwrap());
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn nothing_is_the_default() {
    let config = parse("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.limits(), Limits::default());
    assert_eq!(config.timeouts(), Timeouts::default());
    assert_eq!(config.dataplane.workers, 1);
}

#[test]
fn everything_can_be_said() {
    let text = r#"
        [control]
        socket = "/run/x.sock"
        admin_group = "adm"
        reader_group = "users"
        [dataplane]
        workers = 2
        cpus = [2, 3]
        connections = 100000
        buffers = 8191
        memory_mb = 256
        hugepages = "never"
        rss_key = "6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a6d5a"
        idle_sleep_us = 0
        [[port]]
        name = "dpdk0"
        device = "af_packet:eth0"
        mtu = 1500
        promiscuous = false
        kernel = true
        rx_desc = 512
        tx_desc = 512
        [forward]
        no_server = "reset"
        direct_ttl = true
        [icmp]
        relayed_per_s = 1
        made_per_s = 2
        echo_per_s = 3
        source_quench = "drop"
        [timeouts]
        tcp = 4
        tcp_fin = 5
        udp = 6
        icmp = 60
        [local_ports]
        first = 5000
        last = 60000
        [identifiers]
        last = 1000
        [log]
        level = "debug"
    "#;
    let config = parse(text).unwrap();
    let limits = config.limits();
    assert_eq!((limits.local_port_min, limits.local_port_max), (5000, 60000));
    assert_eq!((limits.identifier_min, limits.identifier_max), (0, 1000));
    assert_eq!((limits.icmp.relayed_per_s, limits.icmp.echo_per_s), (1, 3));
    assert!(!limits.icmp.relays_source_quench);
    assert_eq!((limits.no_server, limits.pass_takes_ttl), (NoServer::Reset, true));
    assert_eq!(config.timeouts().tcp_fin_ms, 5000);
    assert_eq!(config.dataplane.rss_key[..2], [0x6d, 0x5a]);
    assert_eq!(config.ports[0].device.to_string(), "af_packet:eth0");
}

#[test]
fn each_answer_where_no_server_is_has_a_word() {
    for (word, no_server) in [
        ("drop", NoServer::Drop),
        ("reset", NoServer::Reset),
        ("port", NoServer::PortUnreachable),
        ("host", NoServer::HostUnreachable),
        ("prohibited", NoServer::Prohibited),
    ] {
        let limits = parse(&format!("[forward]\nno_server = \"{word}\"")).unwrap().limits();
        assert_eq!((limits.no_server, limits.pass_takes_ttl), (no_server, false));
    }
}

/// The shipped file shows the defaults, and nothing that is not known.
#[test]
fn the_shipped_file_is_the_default_with_one_port() {
    let shipped = parse(include_str!("../../../packaging/dpvs.toml")).unwrap();
    assert_eq!(shipped.ports.len(), 1);
    let control = ControlSection {
        socket: Some(PathBuf::from("/run/dpvs/dpvs.sock")),
        ..ControlSection::default()
    };
    assert_eq!(shipped.control, control);
    let rest = Config { ports: Vec::new(), control: ControlSection::default(), ..shipped };
    assert_eq!(rest, Config::default());
}

/// Returns the names that a text's unknown `nonesuch` could have been.
fn known_instead(text: &str) -> Vec<String> {
    let error = parse(text).unwrap_err();
    let (_, known) = error.split_once("`nonesuch`, expected ").unwrap();
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The manual page is made from the shipped file.
#[test]
fn the_shipped_file_names_every_key() {
    let shipped = include_str!("../../../packaging/dpvs.toml");
    let sections = known_instead("[nonesuch]");
    assert_eq!(sections.len(), 10);
    for section in sections {
        let header = match section.as_str() {
            "port" | "echo" => format!("[[{section}]]"),
            _ => format!("[{section}]"),
        };
        let mut lines = shipped.lines().map(|line| line.trim_start_matches("# "));
        assert!(lines.any(|line| line.starts_with(&header)), "{header} is missing");
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).collect();
        for key in known_instead(&format!("{header}\nnonesuch = 1")) {
            let stands = |line: &&str| line.starts_with(&format!("{key} = "));
            assert!(lines.iter().any(stands), "{header} {key} is missing");
        }
    }
}

#[test]
fn errors_are_one_line_that_names_the_line() {
    for (text, expected) in [
        ("\n[dataplane]\nworker = 2\n", "f:3: unknown field `worker`"),
        ("[ports]\n", "f:1: unknown field `ports`"),
        ("[dataplane]\n\nworkers = 65\n", "f:3: workers must be 1 to 64, not 65"),
        ("[dataplane]\nworkers = \"a\"\n", "f:2: invalid type"),
        ("[dataplane]\nrss_key = \"6d5\"\n", "f:2: rss_key must be 40 bytes in hexadecimal"),
        ("[[port]]\nname = \"a\"\n\ndevice = \"eth0\"\n", "f:4: `eth0` is not a device"),
        ("[[port]]\ndevice = \"tap:x\"\nname = \"a b\"\n", "f:3: `a b` is not a port name"),
        ("[[port]]\nname = \"a\"\n", "f:1: missing field `device`"),
        ("[icmp]\nsource_quench = \"keep\"\n", "f:2: unknown variant `keep`"),
        ("[forward]\nno_server = \"tell\"\n", "f:2: unknown variant `tell`"),
        ("[forward]\ndirect_ttl = 1\n", "f:2: invalid type"),
        ("[forward]\nttl = true\n", "f:2: unknown field `ttl`"),
        ("[timeouts]\nicmp = 30\n", "f:2: the timeout of ICMP must be 60 to 2678400, not 30"),
        ("\n[local_ports]\nfirst = 9\nlast = 8\n", "local_ports: 9 to 8 is not a range of ports"),
        ("[log]\nlevel = 3\n", "f:2: "),
        ("[log\n", "f:1: "),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn the_command_line_wins() {
    let file =
        "[dataplane]\nworkers = 4\n[[port]]\nname = \"a\"\ndevice = \"tap:x\"\nkernel = true";
    let config = load(file, &["--workers", "2", "--port", "a=tap:y", "--port", "b=tap:z"]).unwrap();
    assert_eq!(config.dataplane.workers, 2);
    assert_eq!(config.ports[0].device.to_string(), "tap:y");
    assert!(config.ports[0].kernel);
    assert_eq!(config.ports[1].name, "b");
}

#[test]
fn ports_do_not_share_names_or_devices() {
    let twice = load("", &["--port", "a=tap:x", "--port", "b=tap:x"]).unwrap_err();
    assert_eq!(twice, "port b: another port uses tap:x already");
    let port = |name: &str, device: &str| {
        format!("[[port]]\nname = \"{name}\"\ndevice = \"{device}\"\nkernel = true\n")
    };
    let same = load(&(port("a", "tap:x") + &port("a", "tap:y")), &[]).unwrap_err();
    assert_eq!(same, "port a is configured twice");
    assert!(load(&port("twelve-chars", "tap:x"), &[]).unwrap_err().contains("11 characters"));
}

#[test]
fn a_reload_names_what_needs_a_restart() {
    let old = load("", &["--port", "a=tap:x"]).unwrap();
    let text = "[icmp]\necho_per_s = 1\n[forward]\nno_server = \"port\"\ndirect_ttl = true";
    let new = load(text, &["--port", "a=tap:x"]).unwrap();
    assert_ne!(old.limits(), new.limits());
    assert!(old.needs_restart(&new).is_empty());
    let new = load("", &["--port", "a=tap:y", "--workers", "2"]).unwrap();
    assert_eq!(old.needs_restart(&new), ["dataplane", "port"]);
}

/// What was applied must be known as such, or the way back to it would look like no change.
#[test]
fn a_reload_takes_over_all_that_a_running_daemon_can_change() {
    let old = "[[port]]\nname = \"dpdk0\"\ndevice = \"tap:t0\"\n";
    let mut config = load(old, &[]).unwrap();
    let reset = format!("[forward]\nno_server = \"reset\"\n{old}[icmp]\nmade_per_s = 7\n");
    config.take_over(load(&reset, &[]).unwrap());
    assert_eq!(config.limits().no_server, NoServer::Reset);
    assert_eq!(config.limits().icmp.made_per_s, 7);
    config.take_over(load(old, &[]).unwrap());
    assert_eq!(config.limits(), Limits::default());
    let other = "[dataplane]\nworkers = 3\n";
    config.take_over(load(other, &[]).unwrap());
    assert_eq!(config.needs_restart(&load(other, &[]).unwrap()), ["dataplane", "port"]);
}

#[test]
fn a_port_that_is_to_be_silent_must_be_there() {
    let text = "[icmp]\nsilent_ports = [\"dpdk1\"]\n";
    let error = "[icmp] silent_ports: there is no port dpdk1";
    assert_eq!(load(text, &["--port", "dpdk0=tap:t0"]).unwrap_err(), error);
    let config = load(text, &["--port", "dpdk0=tap:t0", "--port", "dpdk1=tap:t1"]).unwrap();
    assert_eq!(*config.limits().icmp.silent_ports, [dpvs_core::PortId(1)]);
}
