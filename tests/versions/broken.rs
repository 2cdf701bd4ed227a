//! A config that the server refuses: whatever was asked for, the old server goes on serving.

use test_helpers::http::{await_healthy, healthy};

use crate::Release;

const COMMANDS: [&str; 5] = [
    "swift-init proxy-server restart",
    "swift-init proxy-server reload",
    "swift-init proxy-server reload-seamless",
    "swift-reload $(cat /run/swift/proxy-server.pid)",
    "swift-resolve-servers proxy-server | swift-pidfile --clean | swift-check-config |
        swift-signal graceful | swift-spawn",
];

/// With an unknown filter, and with a line that is none.
pub fn is_refused(release: &Release) {
    let lab = release.lab();
    lab.must("swift-init proxy-server start");
    let proxy = lab.server("proxy-server");
    let workers = proxy.children();
    for (good, bad, why) in [
        ("pipeline = ", "pipeline = nonsense ", "nonsense"),
        ("[filter:healthcheck]", "[filter:healthcheck", "filter:"),
    ] {
        lab.edit("proxy-server.conf", good, bad);
        for command in COMMANDS {
            let outcome = lab.sh(command);
            assert!(
                proxy.runs(),
                "{command} ended the proxy, {bad:?}: {outcome}"
            );
            assert_eq!(lab.server("proxy-server").pid, proxy.pid, "{command}");
            assert!(workers.iter().all(|worker| worker.runs()), "{outcome}");
            assert!(healthy(&lab), "{command}: {outcome}");
            if command.contains("swift-spawn") {
                outcome.assert_states(&["proxy-server"], "misconfigured");
            } else {
                assert_eq!(outcome.code(), 1, "{command}: {outcome}");
            }
            // Where nothing can be reloaded seamlessly there is nothing to check either.
            let seamless = command.contains("seamless") || command.contains("swift-reload");
            let said = outcome.out() + &outcome.err();
            assert!(
                said.contains(why) || (seamless && !release.knows_seamless),
                "{command}: {outcome}"
            );
        }
        lab.edit("proxy-server.conf", bad, good);
    }
    lab.must("swift-init proxy-server restart");
    await_healthy(&lab);
}
