//! The servers that these tools know: those of Swift, and what the site's own
//! `swift-init.toml` beside the configs adds and overrides.

mod file;
mod form;
mod model;
mod overlay;
mod select;
mod swift;

pub use model::{Catalogue, Kind, Limits, SITE_FILE, Server, Source, Word};
pub(crate) use select::matches;
pub use select::{Name, Selection};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use swift_sys::signal::Signal;

    fn builtin() -> Catalogue {
        Catalogue::load(Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn the_original_knows_eighteen_servers() {
        let catalogue = builtin();
        assert_eq!(catalogue.servers.len(), 18);
        assert_eq!(
            catalogue.groups().collect::<Vec<_>>(),
            ["all", "main", "rest"]
        );
        assert_eq!(
            catalogue.members("main").unwrap(),
            [
                "proxy-server",
                "account-server",
                "container-server",
                "object-server"
            ]
        );
        assert_eq!(catalogue.members("rest").unwrap().len(), 14);
        assert_eq!(catalogue.members("all").unwrap().len(), 18);
        assert_eq!(catalogue.members("none"), None);
    }

    #[test]
    fn daemons_read_the_config_of_their_types_server() {
        let catalogue = builtin();
        assert_eq!(
            catalogue.server("container-sync").sources[0].stem,
            "container-server"
        );
        assert_eq!(
            catalogue.server("container-reconciler").sources[0].stem,
            "container-reconciler"
        );
        assert_eq!(catalogue.server("object-server").graceful, Signal::HUP);
        assert_eq!(catalogue.server("object-updater").graceful, Signal::TERM);
        let unlisted = catalogue.server("recon-cron");
        assert_eq!(
            (&*unlisted.command, &*unlisted.sources[0].stem),
            ("swift-recon-cron", "recon-server")
        );
    }

    #[test]
    fn only_the_deprecated_file_is_spoken_of() {
        let catalogue = builtin();
        let expirer = catalogue.server("object-expirer");
        assert!(
            expirer
                .deprecation(Path::new("/etc/swift/object-expirer.conf"))
                .is_some()
        );
        assert!(
            expirer
                .deprecation(Path::new("/etc/swift/object-server.conf"))
                .is_none()
        );
    }
}
