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

/// A server that serves requests. SIGHUP lets those under way finish, SIGUSR1 is the seamless
/// reload, `--test-config` checks the config, and READY=1 is announced.
macro_rules! main_server {
    ($name:literal) => {
        Server {
            name: Cow::Borrowed($name),
            command: Cow::Borrowed(concat!("swift-", $name)),
            group: Cow::Borrowed("main"),
            sources: Cow::Borrowed(&[config($name)]),
            stop: Signal::TERM,
            graceful: Signal::HUP,
            seamless: Some(Signal::USR1),
            once: false,
            swift: Some(Kind::Server),
            check: true,
            notify: true,
            serve: false,
        }
    };
}

/// A daemon, which can do one pass. It reads the config of its type's server, or its own.
macro_rules! daemon {
    ($name:literal, $($source:expr),+) => {
        Server {
            name: Cow::Borrowed($name),
            command: Cow::Borrowed(concat!("swift-", $name)),
            group: Cow::Borrowed("rest"),
            sources: Cow::Borrowed(&[$($source),+]),
            stop: Signal::TERM,
            graceful: Signal::TERM,
            seamless: None,
            once: true,
            swift: Some(Kind::Daemon),
            check: false,
            notify: false,
            serve: false,
        }
    };
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
    main_server!("proxy-server"),
    main_server!("account-server"),
    main_server!("container-server"),
    main_server!("object-server"),
    daemon!("account-auditor", config("account-server")),
    daemon!("account-reaper", config("account-server")),
    daemon!("account-replicator", config("account-server")),
    daemon!("container-auditor", config("container-server")),
    daemon!("container-reconciler", config("container-reconciler")),
    daemon!("container-replicator", config("container-server")),
    daemon!("container-sharder", config("container-server")),
    daemon!("container-sync", config("container-server")),
    daemon!("container-updater", config("container-server")),
    daemon!("object-auditor", config("object-server")),
    daemon!("object-expirer", EXPIRER, OLD_EXPIRER),
    daemon!("object-reconstructor", config("object-server")),
    daemon!("object-replicator", config("object-server")),
    daemon!("object-updater", config("object-server")),
];
