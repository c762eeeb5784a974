// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real program, up to where the daemon is asked: text, stream and exit code, byte by byte.

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    const HELP: &str = include_str!("golden/dpip-1.10.2-help.txt");
    const NO_SOCKET: &str = "/nonexistent/dpvs.sock";

    fn dpip(args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dpip"));
        command.args(args).env("DPVS_SOCKET", NO_SOCKET).stdin(Stdio::null());
        command
    }

    /// Runs a line; returns standard output, standard error and the exit code.
    fn run(line: &str) -> (String, String, i32) {
        let args: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let output = dpip(&args).output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.code().unwrap(),
        )
    }

    /// Checks that a line prints `stderr` and nothing else, and ends with `code`.
    fn fails(line: &str, stderr: &str, code: i32) {
        assert_eq!(run(line), (String::new(), stderr.to_owned(), code), "dpip {line}");
    }

    /// The daemon was reached for: the line has been understood.
    fn asks(line: &str) {
        let text = format!(
            "dpip: dpvs is not running: cannot connect to {NO_SOCKET}: No such file or directory \
             (os error 2)\n"
        );
        fails(line, &text, 1);
    }

    #[test]
    fn help_and_version_are_those_of_the_transcripts() {
        let mut blocks = 0;
        for block in HELP.split("$ dpip").skip(1) {
            let (line, rest) = block.split_once('\n').unwrap();
            let (text, code) = rest.split_once("[rc=").unwrap();
            let code = code.trim().trim_end_matches(']').parse().unwrap();
            let object = line.trim().strip_suffix(" help").unwrap_or("addr");
            let note = match object {
                "link" | "addr" | "route" | "neigh" => String::new(),
                _ => format!("Note: not support, this dpvs has no {object} yet.\n"),
            };
            let expected = text.to_owned() + &note;
            if line == " -V" {
                assert_eq!(run(line), (expected, String::new(), code));
            } else {
                fails(line, &expected, code);
            }
            blocks += 1;
        }
        assert_eq!(blocks, 18);
    }

    #[test]
    fn an_object_without_a_command_prints_its_help_and_fails() {
        let help = run("addr help").1;
        fails("addr", &help, 1);
        fails("addr show -h", &help, 1);
        fails("nonsense", &run("").1, 1);
        fails("nonsense show --help", &run("").1, 1);
    }

    #[test]
    fn the_command_is_checked_before_the_object() {
        fails("nonsense sh", "invalid command sh\n", 1);
        fails("addr delete", "invalid command delete\n", 1);
        fails("nonsense show", "dpip: invalid object, use `-h' for help.\n", 1);
        fails("rule help", "dpip: invalid object, use `-h' for help.\n", 1);
    }

    #[test]
    fn wrong_options_have_the_messages_of_getopt() {
        fails("link -x show", "dpip: invalid option -- 'x'\nInvalid option: show\n", 1);
        fails("link show -x", "dpip: invalid option -- 'x'\nInvalid option: (null)\n", 1);
        fails("-D", "Invalid option: (null)\n", 1);
        fails("-f inet7 addr show", "invalid family\n", 1);
        fails("--no addr", "dpip: unrecognized option '--no'\nInvalid option: addr\n", 1);
    }

    #[test]
    fn a_count_without_an_interval_is_told_and_goes_on() {
        let (_, stderr, code) = run("-c 3 addr show");
        assert!(stderr.starts_with("missing option '-i'\ndpip: dpvs is not running"), "{stderr}");
        assert_eq!(code, 1);
        let help = run("link help").1;
        let text =
            format!("miss statistics display interval\n{help}dpip: check: invalid parameter\n");
        fails("-s -i 0 link show", &text, 1);
    }

    #[test]
    fn echo_and_icmp_say_what_is_wrong() {
        let parse = |note: &str| format!("{note}\ndpip: parse: invalid parameter\n");
        let check = |note: &str| format!("{note}\ndpip: check: invalid parameter\n");
        fails("echo set policy never", &check("missing ip address"), 1);
        fails("echo del", &check("missing ip address"), 1);
        fails("echo set 10.0.0.1", &check("missing policy"), 1);
        fails("echo set 10.0.0.1 policy up", &parse("invalid policy: up"), 1);
        fails("echo set 10.0.0.1 down up", &parse("invalid down: up"), 1);
        fails("echo set 10.0.0.1 policy", &parse("missing argument for `policy'"), 1);
        let note = "the policy quorum has a quorum, and no other";
        fails("echo set 10.0.0.1 policy quorum", &check(note), 1);
        fails("echo set 10.0.0.1 policy never quorum 1", &check(note), 1);
        fails("echo set 10.0.0.1 policy never max-size 65536", "dpip: invalid parameter\n", 1);
        fails("echo add 10.0.0.1 policy never", "dpip: not support\n", 1);
        fails("addr decisions", "dpip: not support\n", 1);
        fails("icmp decisions 5", &parse("unknow argument `5'"), 1);
        fails("icmp show all", &parse("too many arguments"), 1);
        asks("echo set 10.0.0.1 policy backend");
        asks("echo show");
        asks("--json icmp show");
        asks("icmp decisions limit 5");
        fails("icmp servers 5", &parse("unknow argument `5'"), 1);
        asks("icmp servers");
    }

    #[test]
    fn config_says_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let name = path.to_str().unwrap();
        fails("config test", "missing file\ndpip: check: invalid parameter\n", 1);
        fails("config show all", "too many arguments\ndpip: parse: invalid parameter\n", 1);
        fails("config replace a b", "too many arguments\ndpip: parse: invalid parameter\n", 1);
        fails("config add a", "dpip: not support\n", 1);
        let text = format!("dpip: {name}: No such file or directory (os error 2)\n");
        fails(&format!("config test {name}"), &text, 1);
        for (document, error) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[]", "not an object with the sections of a configuration"),
            (
                "{\"service\": []}",
                "unknown field `service`, expected one of `timeouts`, `addrs`, \
              `routes`, `neighs`, `echoes`, `services` at line 1 column 10",
            ),
        ] {
            fs::write(&path, document).unwrap();
            let line = format!("config replace {name}");
            let (stdout, stderr, code) = run(&line);
            assert!(stdout.is_empty() && stderr.contains(error), "{stderr}");
            assert_eq!(code, 1);
        }
        fs::write(&path, "{}").unwrap();
        asks(&format!("config test {name}"));
        asks("config show");
    }

    #[test]
    fn the_objects_that_dpvs_lacks_have_their_help() {
        for object in ["echo", "icmp", "config"] {
            let (stdout, stderr, code) = run(&format!("{object} help"));
            assert!(stdout.is_empty() && stderr.starts_with("Usage:\n    dpip "), "{stderr}");
            assert_eq!(code, 0);
            fails(object, &stderr, 1);
        }
    }

    #[test]
    fn addr_says_what_is_wrong() {
        let parse = |note: &str| format!("{note}\ndpip: parse: invalid parameter\n");
        let check = |note: &str| format!("{note}\ndpip: check: invalid parameter\n");
        fails("addr add dev dpdk0", &check("missing IFADDR"), 1);
        fails("addr add 10.0.0.1/24", &check("no device specified."), 1);
        fails("addr flush", &check("no device specified."), 1);
        fails("addr add 10.0.0.1 dev", &parse("missing argument for `dev'"), 1);
        fails("addr add 10.1 dev dpdk0", &parse("invalid ipaddress: unspec 10.1"), 1);
        fails("-6 addr add 10.0.0.1 dev dpdk0", &parse("invalid ipaddress: inet6 10.0.0.1"), 1);
        fails("--family=inet addr add ::1 dev d", &parse("invalid ipaddress: inet ::1"), 1);
        for line in ["addr add 10.0.0.1/33 dev dpdk0", "addr add ::1 valid_lft soon dev dpdk0"] {
            fails(line, "dpip: invalid parameter\n", 1);
        }
        fails("addr enable", "dpip: not support\n", 1);
    }

    #[test]
    fn route_and_neigh_say_what_is_wrong() {
        let parse = |note: &str| format!("{note}\ndpip: parse: invalid parameter\n");
        let check = |note: &str| format!("{note}\ndpip: check: invalid parameter\n");
        fails("route add via 10.0.0.1", &check("missing prefix"), 1);
        fails("route add 10.0.0.0/8", &check("no device specified"), 1);
        fails("route flush", &check("no device specified"), 1);
        fails("route add default via 2001:db8::1", &check("invalid family."), 1);
        fails("route add default/0 dev d", &parse("invalid ipaddress: unspec default/0"), 1);
        fails("-6 route set default via 2001:db8::1", "dpip: not support\n", 1);
        fails("neigh add lladdr 2:0:0:0:0:1 dev d", &check("missing ip address"), 1);
        fails("neigh add 0.0.0.0 lladdr 2:0:0:0:0:1 dev d", &check("invalid IP address"), 1);
        fails("neigh add 10.0.0.1 dev d", &check("invalid MAC address"), 1);
        fails("neigh add 10.0.0.1 lladdr 0:0:0:0:0:0 dev d", &check("invalid MAC address"), 1);
        fails("neigh add 10.0.0.1 lladdr 2:0:0 dev d", &parse("invalid link layer addr"), 1);
    }

    #[test]
    fn link_says_what_is_wrong_and_fails() {
        let name = "invalid parameter name 'speed'\ndpip: parse: invalid parameter\n";
        fails("link set dpdk0 speed 1", name, 1);
        fails("link set dpdk0 promisc yes", "invalid arguement value for 'promisc'\n", 1);
        fails("link set dpdk0 link on", "invalid argument value for 'link'\n", 1);
        let stdout = "invalid xmit-poliy: layer5\n".to_owned();
        assert_eq!(run("link set bond0 bond-xmit-policy layer5"), (stdout, String::new(), 1));
        for line in [
            "link set dpdk0 forward2kni on",
            "link set dpdk0 lldp up",
            "link set bond0 bond-mode 4",
            "link add bond0 bond-slave dpdk0",
            "link show cpu",
            "link show bond0 status",
        ] {
            fails(line, "dpip: not support\n", 1);
        }
    }

    #[test]
    fn objects_that_the_daemon_lacks_are_not_supported() {
        for object in
            "vlan tunnel qsch cls ipv6 iftraf eal-mem ipset flow maddr lldp".split_whitespace()
        {
            fails(&format!("{object} show"), "dpip: not support\n", 1);
        }
    }

    #[test]
    fn what_is_right_is_asked_and_a_missing_daemon_is_one_line() {
        for line in [
            "addr show",
            "addr list dev dpdk0 -s",
            "-6 addr add 2001:db8::1/64 dev dpdk0 scope link valid_lft 10 prefered_lft forever",
            "addr change 10.0.0.1/24 dev dpdk0 broadcast 10.0.0.255 preferred_lft 100 sapool",
            "addr replace 10.0.0.1 dev dpdk0 scope 253",
            "addr del 10.0.0.1/32 dev dpdk0",
            "addr flush dev dpdk0 -4",
            "route show",
            "route add default via 10.0.0.1 metric 5 scope global",
            "-6 route add 2001:db8:1::/64 dev dpdk0 tos 1 proto static onlink",
            "route add 2001:db8:1::/64 via 2001:db8::1",
            "route del 0.0.0.0/0",
            "neigh show",
            "neigh add 10.0.0.1 lladdr 52:54:0:1:2:3 dev dpdk0",
            "neigh del 10.0.0.1 dev dpdk0",
            "link show dpdk0 -v",
            "-s -i 1 -c 1 link show",
            "link set dpdk0 promisc on allmulticast off link up addr 2:0:0:0:0:1 mtu 9000",
        ] {
            asks(line);
        }
    }

    #[test]
    fn the_socket_is_the_given_one() {
        let (_, stderr, code) = run("addr show --socket /nonexistent/other");
        assert!(stderr.contains("/nonexistent/other"), "{stderr}");
        assert_eq!(code, 1);
    }

    #[test]
    fn a_verbose_change_of_a_route_repeats_it() {
        let (stdout, _, code) = run("-v route add 10.0.0.0/8 via 10.1.1.1 mtu 1400");
        let line = "inet 10.0.0.0/8 via 10.1.1.1 src 0.0.0.0 dev  mtu 1400 tos 0 scope global \
                    metric 0 proto auto \n";
        assert_eq!((stdout.as_str(), code), (line, 1));
    }

    #[test]
    fn a_batch_stops_at_the_first_failure_and_names_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("batch");
        fs::write(&path, "# comment\n\naddr help # fine\nvlan show\naddr fly\n").unwrap();
        let path = path.to_str().unwrap();
        let first = format!("{}dpip: not support\ndpip: {path}:4: the command failed\n", {
            run("addr help").1
        });
        fails(&format!("--batch {path}"), &first, 1);
        let both = format!("{first}invalid command fly\ndpip: {path}:5: the command failed\n");
        fails(&format!("--keep-going --batch {path}"), &both, 1);
    }

    #[test]
    fn a_batch_is_read_from_standard_input_and_holds_no_batch() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        fs::write(&path, "-V\n--batch other\n").unwrap();
        let input = File::open(&path).unwrap();
        let output = dpip(&["--batch", "-"]).stdin(input).output().unwrap();
        assert_eq!(output.stdout, b"dpip-1.10-2\n");
        let text = "dpip: standard input:2: a batch cannot hold a batch\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
        assert_eq!(output.status.code(), Some(1));
        let missing = "dpip: cannot open /nonexistent/b: No such file or directory (os error 2)\n";
        fails("--batch /nonexistent/b", missing, 1);
        fails("--batch x addr show", "dpip: --batch takes no OBJECT\n", 1);
    }

    #[test]
    fn a_batch_whose_reader_left_does_not_end_as_if_it_were_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("batch");
        fs::write(&path, "-V\naddr flush dev dpdk0\n").unwrap();
        let path = path.to_str().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = dpip(&["--batch", path]).stdout(writer).output().unwrap();
        let text = format!("dpip: {path}:1: write error: Broken pipe (os error 32)\n");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
        assert_eq!(output.status.code(), Some(1));
    }

    #[test]
    fn a_full_disk_is_told_and_a_reader_that_left_is_not() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = dpip(&["-V"]).stdout(full).output().unwrap();
        let text = "dpip: write error: No space left on device (os error 28)\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
        assert_eq!(output.status.code(), Some(1));

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = dpip(&["-V"]).stdout(writer).output().unwrap();
        assert_eq!((output.stderr.as_slice(), output.status.code()), (&b""[..], Some(0)));
    }
}
