//! The servers of OpenStack Swift, as its own swift-init knows them (manager.py of 2.38.3).
//!
//! The table is constant, so a tool that starts has nothing to read. swift-init.toml(5) has the same
//! keys; it adds to the table and overrides it.

use std::borrow::Cow;
use std::time::Duration;

use super::model::{Catalogue, Kind, Limits, Server, Source};
use swift_sys::signal::Signal;

/// The servers of Swift, and its defaults.
pub fn catalogue() -> Catalogue {
    Catalogue {
        servers: Cow::Borrowed(SERVERS),
        groups: Vec::new(),
        run_dir: "/var/run/swift".into(),
        kill_wait: Duration::from_secs(15),
        limits: Limits {
            files: 32768,
            data: 2_147_483_648,
            processes: 8192,
        },
        log: true,
        site: String::new(),
    }
}

const fn config(stem: &'static str) -> Source {
    Source::new(Cow::Borrowed(stem))
}

/// One of Swift's own servers. One that serves requests finishes those under way at SIGHUP, reloads
/// itself seamlessly at SIGUSR1, checks its config with `--test-config` and announces READY=1. A daemon can do
/// one pass; it reads the config of its type's server, or its own.
const fn server(
    kind: Kind,
    name: &'static str,
    command: &'static str,
    sources: &'static [Source],
) -> Server {
    let serves = matches!(kind, Kind::Server);
    Server {
        name: Cow::Borrowed(name),
        command: Cow::Borrowed(command),
        group: Cow::Borrowed(if serves { "main" } else { "rest" }),
        sources: Cow::Borrowed(sources),
        stop: Signal::TERM,
        graceful: if serves { Signal::HUP } else { Signal::TERM },
        seamless: if serves { Some(Signal::USR1) } else { None },
        once: !serves,
        swift: Some(kind),
        check: serves,
        notify: serves,
        serve: false,
    }
}

macro_rules! server {
    ($kind:ident, $name:literal, $($source:expr),+) => {{
        const SOURCES: &[Source] = &[$($source),+];
        server(Kind::$kind, $name, concat!("swift-", $name), SOURCES)
    }};
}

/// The expirer's section in the object server's config.
const EXPIRER: Source = Source {
    stem: Cow::Borrowed("object-server"),
    section: Some(Cow::Borrowed("object-expirer")),
    deprecated: None,
};

/// The config that the expirer had before.
const OLD_EXPIRER: Source = Source {
    stem: Cow::Borrowed("object-expirer"),
    section: None,
    deprecated: Some(Cow::Borrowed(
        "WARNING: object-expirer.conf is deprecated. Move object-expirers' configuration into \
         object-server.conf.",
    )),
};

/// The servers, in the order in which they are shown.
const SERVERS: &[Server] = &[
    server!(Server, "proxy-server", config("proxy-server")),
    server!(Server, "account-server", config("account-server")),
    server!(Server, "container-server", config("container-server")),
    server!(Server, "object-server", config("object-server")),
    server!(Daemon, "account-auditor", config("account-server")),
    server!(Daemon, "account-reaper", config("account-server")),
    server!(Daemon, "account-replicator", config("account-server")),
    server!(Daemon, "container-auditor", config("container-server")),
    server!(
        Daemon,
        "container-reconciler",
        config("container-reconciler")
    ),
    server!(Daemon, "container-replicator", config("container-server")),
    server!(Daemon, "container-sharder", config("container-server")),
    server!(Daemon, "container-sync", config("container-server")),
    server!(Daemon, "container-updater", config("container-server")),
    server!(Daemon, "object-auditor", config("object-server")),
    server!(Daemon, "object-expirer", EXPIRER, OLD_EXPIRER),
    server!(Daemon, "object-reconstructor", config("object-server")),
    server!(Daemon, "object-replicator", config("object-server")),
    server!(Daemon, "object-updater", config("object-server")),
];
