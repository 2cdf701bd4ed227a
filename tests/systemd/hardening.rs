//! What systemd.exec(5) takes from a unit, and that systemd and the tools by hand still agree on it then. The
//! table in swift-systemd(7) is that of [`PASSES`].

use std::collections::BTreeSet;

use test_helpers::documents;
use test_helpers::systemd::Machine;

use crate::hello;

/// The first line of the block in each unit that holds all of this.
const BLOCK: &str = "# Hardening: see swift-systemd(7)";

/// How bad `systemd-analyze security` may find a unit, in tenths: 40 is 4.0.
const EXPOSURE: u32 = 40;

/// Each with a unit that sets nothing else: how the manual page names it, and what else it takes.
const PASSES: &[(&str, &str)] = &[
    (
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
    ),
    ("CapabilityBoundingSet=", ""),
    ("Delegate=yes", ""),
    ("DevicePolicy=closed", ""),
    ("IPAddressDeny=any", "IPAddressAllow=localhost"),
    ("KeyringMode=private", ""),
    ("LimitNPROC=64", ""),
    ("LockPersonality=yes", ""),
    ("MemoryDenyWriteExecute=yes", ""),
    ("MemoryMax=512M", ""),
    ("NoExecPaths=/", "ExecPaths=/usr /lib /lib64"),
    ("NoNewPrivileges=yes", ""),
    ("PrivateDevices=yes", ""),
    ("PrivateIPC=yes", ""),
    ("PrivateMounts=yes", ""),
    ("PrivateNetwork=yes", ""),
    ("PrivateTmp=yes", ""),
    ("PrivateUsers=yes", ""),
    ("ProcSubset=pid", ""),
    ("ProtectClock=yes", ""),
    ("ProtectControlGroups=yes", ""),
    ("ProtectHome=yes", ""),
    ("ProtectHostname=yes", ""),
    ("ProtectKernelLogs=yes", ""),
    ("ProtectKernelModules=yes", ""),
    ("ProtectKernelTunables=yes", ""),
    ("ProtectProc=invisible", ""),
    ("ProtectSystem=strict", "ReadWritePaths=-/run/swift"),
    ("RemoveIPC=yes", ""),
    ("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", ""),
    ("RestrictNamespaces=yes", ""),
    ("RestrictRealtime=yes", ""),
    ("RestrictSUIDSGID=yes", ""),
    ("SecureBits=noroot-locked", ""),
    ("SystemCallArchitectures=native", ""),
    ("SystemCallFilter=@system-service", ""),
    ("SystemCallFilter=~@privileged @resources", ""),
    ("TasksMax=64", ""),
    ("UMask=0077", ""),
];

/// A unit of a template, and its server by hand.
struct Kind {
    template: &'static str,
    unit: &'static str,
    conf: &'static str,
    bad: &'static str,
    good: &'static str,
    status: &'static str,
    reload: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        template: "swift-serve@",
        unit: "swift-serve@hello",
        conf: "/etc/swift/hello-server.conf",
        bad: "s/^bind_port = .*/bind_port = nonsense/",
        good: "s/^bind_port = .*/bind_port = 8080/",
        status: "swift-serve --status $main | grep manager",
        reload: "swift-reload $main",
    },
    Kind {
        template: "swift@",
        unit: "swift@proxy",
        conf: "/etc/swift/proxy-server.conf",
        bad: "s/check_exit = .*/check_exit = 1/",
        good: "s/check_exit = .*/check_exit = 0/",
        status: "swift-init proxy status | grep 'proxy-server running'",
        reload: "swift-init proxy reload-seamless",
    },
];

fn boot() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.user("swift");
    hello::install(&machine, &[]);
    machine.fake_servers(&["proxy-server"]);
    machine.write(
        "/etc/swift/proxy-server.conf",
        "workers = 2\ncheck_exit = 0\n",
    );
    Some(machine)
}

/// Takes the block from the templates, so that a drop-in holds alone.
fn strip(machine: &Machine) {
    for kind in KINDS {
        let path = format!("/etc/systemd/system/{}.service", kind.template);
        let shipped = machine
            .must(&format!("systemctl cat {}.service", kind.template))
            .out();
        let (before, block) = shipped.split_once(BLOCK).expect("the block is there");
        let (_, install) = block.split_once("[Install]").expect("it ends the section");
        machine.write(&path, &format!("{before}\n[Install]{install}"));
    }
}

impl Kind {
    fn assert_passes(&self, machine: &Machine) {
        let played = self.play(machine);
        assert_eq!(played, Ok(()), "{}\n{}", self.unit, machine.states());
    }

    /// Starts, shows and reloads it, by systemd and by hand, is refused a reload, and stops it. Says which
    /// step failed, and with what.
    fn play(&self, machine: &Machine) -> Result<(), String> {
        let Kind {
            unit,
            conf,
            bad,
            good,
            status,
            reload,
            ..
        } = self;
        let outcome = machine.sh(&format!(
            "step() {{ name=$1; shift; \"$@\" >/run/said 2>&1 && return; echo \"$name: $(cat /run/said)\"; exit 1; }}
             refuse() {{ \"$@\"; [ $? = 1 ]; }}
             by_hand() {{ step 'status by hand' sh -c \"{status}\"; step 'reload by hand' {reload}; }}
             step start systemctl start {unit}
             main=$(systemctl show --value -p MainPID {unit}); export main
             by_hand
             step reload systemctl reload {unit}
             sed -i '{bad}' {conf}
             step 'a reload that is to be refused' refuse systemctl reload {unit}
             step 'the same by hand' refuse {reload}
             sed -i '{good}' {conf}
             step 'main process' test $main = $(systemctl show --value -p MainPID {unit})
             step 'reload later' systemctl reload {unit}
             by_hand
             step stop systemctl stop {unit}
             step result test $(systemctl show --value -p Result {unit}) = success
             step 'pid files' test -z \"$(find /run/swift/ -name '*.pid')\""
        ));
        machine.sh(&format!(
            "sed -i '{good}' {conf}; systemctl stop {unit}; systemctl reset-failed {unit}"
        ));
        match outcome.code() {
            0 => Ok(()),
            _ => Err(outcome.out()),
        }
    }

    fn set(&self, machine: &Machine, directives: &str) {
        machine.drop_in(
            &format!("{}.service", self.unit),
            &format!("[Service]\n{directives}\n"),
        );
        machine.must("systemctl daemon-reload");
    }
}

#[test]
fn units_pass_all_that_they_set() {
    let Some(machine) = boot() else {
        return;
    };
    for kind in KINDS {
        kind.assert_passes(&machine);
    }
}

/// RestrictSUIDSGID= answers openat2(2) with ENOSYS, and DynamicUser= implies it. Root sees what runs, though
/// the run directory is in a directory of root's then.
#[test]
fn units_pass_without_openat2() {
    let Some(machine) = boot() else {
        return;
    };
    strip(&machine);
    machine.must("rmdir /run/swift");
    for kind in KINDS {
        kind.set(&machine, "DynamicUser=yes\nRuntimeDirectory=swift");
        kind.assert_passes(&machine);
    }
}

/// With a user namespace for each process of the unit, ExecReload= may trace none of the others, and
/// ProtectProc= hides what may not be traced.
#[test]
fn a_server_that_is_hidden_is_not_taken_for_gone() {
    let Some(machine) = boot() else {
        return;
    };
    for kind in KINDS {
        let unit = kind.unit;
        kind.set(&machine, "PrivateUsers=yes\nProtectProc=invisible");
        machine.must(&format!("systemctl start {unit}"));
        assert_eq!(machine.sh(&format!("systemctl reload {unit}")).code(), 1);
        let said = machine.journal(unit);
        assert!(
            said.contains("it lives, and /proc does not show it"),
            "{said}"
        );
        assert_eq!(machine.property(unit, "ActiveState"), "active");
        machine.must(&format!("systemctl stop {unit}"));
    }
}

#[test]
fn exposure_is_low() {
    let Some(machine) = boot() else {
        return;
    };
    for kind in KINDS {
        // It looks at units that are loaded.
        machine.must(&format!("systemctl start {}", kind.unit));
        machine.must(&format!(
            "systemd-analyze security --threshold={EXPOSURE} {}.service",
            kind.unit
        ));
    }
}

/// The long form: each alone.
#[test]
fn what_the_page_says_passes_does() {
    let page = documents::page("swift-systemd.7");
    let (_, table) = page
        .split_once(".Ss Tested settings\n")
        .expect("the table is there");
    let (table, _) = table.split_once("\n.El\n").expect("it has an end");
    let named = |line: &str| {
        Some(
            line.strip_prefix(".It Li ")?
                .split(" Ta ")
                .next()?
                .to_owned(),
        )
    };
    let told: BTreeSet<String> = table.lines().filter_map(named).collect();
    let tried = PASSES.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(
        told,
        tried.collect(),
        "the page's table, and that of this test"
    );
    if std::env::var_os("SWIFT_SOAK").is_none() {
        test_helpers::report(
            "not played without SWIFT_SOAK: each directive of systemd.exec(5) alone",
        );
        return;
    }
    let Some(machine) = boot() else {
        return;
    };
    strip(&machine);
    for (directive, others) in PASSES {
        for kind in KINDS {
            kind.set(&machine, &format!("{directive}\n{others}"));
            assert_eq!(kind.play(&machine), Ok(()), "{directive} in {}", kind.unit);
        }
    }
}
