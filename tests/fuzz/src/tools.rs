//! The tools, as the properties name them.

pub use swift_check_config::options as check;
pub use swift_init::options as init;
pub use swift_pidfile::options as pidfile;
pub use swift_reload::options as reload;
pub use swift_resolve_servers::configs;
pub use swift_resolve_servers::options as resolve;
pub use swift_resolve_servers::pids;
pub use swift_signal::options as signal;
pub use swift_spawn::options as spawn;
