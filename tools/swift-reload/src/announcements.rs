//! The notifications of the process that is reloaded, and what they add up to.

use std::io;
use std::os::fd::AsFd;

use swift_records::reason::Reason;
use swift_server::notify::{self, Holder, Notice, Notifications};
use swift_server::process::command_line;
use swift_server::user;

use crate::failure::Failure;
use crate::news::News;
use crate::target::Target;

/// The notifications of one process.
#[derive(Debug)]
pub struct Announcements {
    /// The socket; or why there is none, while what the process does may still be seen.
    notifications: Result<Notifications, Failure>,
    /// RELOADING=1 has come, and not READY=1 since.
    pub reloading: bool,
    /// READY=1 has come since the signal, and not RELOADING=1 before it.
    pub ready: bool,
    /// Both have come, in this order.
    pub announced: bool,
    /// Why its reload failed, as it said together with its READY=1.
    pub refused: Option<Vec<u8>>,
}

impl Announcements {
    /// Binds the socket of a process, which is the lock of its reload.
    pub fn of(target: &Target) -> Result<Announcements, Failure> {
        let notifications = match Notifications::bind(target.pid()) {
            Ok(notifications) => Ok(notifications),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(intruder(target)?),
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => Err(Failure::new(
                Reason::Unsupported,
                format!("its socket is {e}"),
            )),
            Err(e) => return Err(Failure::unknown(&e)),
        };
        Ok(Announcements {
            notifications,
            reloading: false,
            ready: false,
            announced: false,
            refused: None,
        })
    }

    /// The socket; or the reason why there is none: another user holds its name, or its network
    /// namespace may not be entered.
    pub fn socket(&self) -> Result<&impl AsFd, &Failure> {
        self.notifications.as_ref()
    }

    /// Takes in what the process has sent.
    pub fn receive(&mut self, is_signalled: bool, news: &mut Vec<News>) -> Result<(), Failure> {
        for _ in 0..notify::READ_BUDGET {
            let Ok(notifications) = &self.notifications else {
                break;
            };
            let Some(lines) = notifications.receive()? else {
                break;
            };
            // The failure is announced together with the readiness of the old generation.
            self.refused = lines.iter().find_map(Notice::refused).map(<[u8]>::to_vec);
            for notice in lines {
                if is_signalled {
                    news.push(News::Notified(notice.clone()));
                }
                match notice {
                    Notice::Reloading => (self.reloading, self.ready) = (true, false),
                    Notice::Ready => {
                        self.announced = is_signalled && self.reloading;
                        (self.reloading, self.ready) = (false, true);
                    }
                    Notice::Stopping => {
                        return Err(Failure::new(Reason::Vanished, "it is stopping"));
                    }
                    Notice::Other(_) => {}
                }
                if self.announced {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The holder of a process's socket, as the reason of a failure, when it is a user who could not
/// reload the process: going on without the socket is all there is against one
/// who never lets go of it. Any other holder may be reloading it, so the reload
/// is `busy`.
fn intruder(target: &Target) -> Result<Failure, Failure> {
    let holder = notify::holder(target.pid());
    let words = holder.map_or("held by a hidden process".into(), described);
    let uid = holder.and_then(|holder| holder.uid);
    let busy = |words: String| Failure::new(Reason::Busy, words);
    let is_other = |uid: u32| ![0, user::own(), target.user().uid].contains(&uid);
    match uid.filter(|uid| is_other(*uid)) {
        Some(uid) => Ok(busy(format!("{words} of {}", user::name(uid)))),
        None => Err(busy(words)),
    }
}

fn described(holder: Holder) -> String {
    let Some(pid) = holder.pid else {
        return "held by a hidden process".into();
    };
    let line = command_line(pid).ok().flatten();
    let name = line.and_then(|line| {
        let first = line.args().next()?.to_string_lossy().into_owned();
        first.rsplit('/').next().map(str::to_owned)
    });
    format!("held by {pid} ({})", name.unwrap_or_default())
}
