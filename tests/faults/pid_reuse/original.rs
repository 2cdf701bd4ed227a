//! Swift's own swift-init on the same fixture: it signals whoever has the number. That is also the proof
//! that a wrong signal is seen here.

use test_helpers::{Outcome, run, tools_dir};

use super::fixture::{Fixture, OTHERS, Successor, venv};
use super::pid_reuser::Process;

const STOP: [&str; 3] = ["--kill-wait=0", "object-server.1", "stop"];
const RELOAD: [&str; 2] = ["object-server.1", "reload-seamless"];
const KILL: [&str; 4] = [
    "--kill-wait=0",
    "--kill-after-timeout",
    "object-server.1",
    "stop",
];

/// Runs the swift-init of a folder where the server's number belongs to somebody else.
fn play(fixture: &mut Fixture, folder: &str, args: &[&str], who: Successor) -> (Process, Outcome) {
    let server = fixture.server();
    let successor = fixture.swap(&server, who);
    let mut command = fixture.sandbox.command(&format!("{folder}/swift-init"));
    // Spares the original a third of its start, which is for servers that resolve names.
    command.env("EVENTLET_NO_GREENDNS", "yes");
    (successor, run(command.args(args)))
}

/// The original sends its TERM to the stranger, to the one who reads the log, to the one who edits the
/// config and to the server of another config, and its USR1 as well; and its KILL to the latter. Ours
/// leaves all of them alone in the same places.
///
/// Fails when who has the number does not notice signals: then no other test here proves anything.
#[test]
fn the_original_signals_any_process_with_the_pid() {
    let ours = tools_dir().to_str().expect("a path in letters");
    let Some(mut fixture) = Fixture::new() else {
        return;
    };
    let plays = OTHERS.map(|who| (&STOP[..], who, 15, 15)).into_iter();
    let plays = plays.chain(OTHERS.map(|who| (&RELOAD[..], who, 10, 10)));
    // Whom KILL ends cannot tell of the TERM before it.
    for (args, who, told, got) in plays.chain([(&KILL[..], Successor::Other, 15, 9)]) {
        let round = format!("{args:?}, {who:?}");
        let (successor, outcome) = play(&mut fixture, &venv(), args, who);
        let pid = successor.pid;
        assert_eq!(
            fixture.reuser.end(pid),
            [format!("{pid}:{got}")],
            "{round}: {outcome}"
        );
        let told = format!("Signal object-server  pid: {pid}  signal: {told}\n");
        assert!(outcome.out().contains(&told), "{round}: {outcome}");

        let (successor, outcome) = play(&mut fixture, ours, args, who);
        let told = (outcome.out(), outcome.err(), outcome.code());
        let none = "No object-server running\n".to_owned();
        assert_eq!(told, (none, String::new(), 1), "{round}");
        fixture.told_truth(&successor, who, &round);
        fixture.unharmed(&successor, &round);
    }
}
