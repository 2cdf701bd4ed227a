//! Words of a command line that stand for no installed server.

use std::collections::HashSet;

use crate::catalogue::{Catalogue, matches};
use swift_cli::closest::{closest, hint};

impl Catalogue {
    /// One message for each word that no installed server answers to: a name that is none, a glob
    /// that matches nothing, a server, glob or group of which nothing is installed. A group of which
    /// something is installed is never complained of. `is_installed` is asked by a server's name.
    pub fn complaints<'a>(
        &self,
        words: impl IntoIterator<Item = &'a str>,
        is_installed: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut seen = HashSet::new();
        let words = words.into_iter().filter(|word| seen.insert(*word));
        words
            .filter_map(|word| self.complaint(word, &is_installed))
            .collect()
    }

    /// True when a word is a group, or a server of the catalogue with or without a config.
    pub fn knows(&self, word: &str) -> bool {
        let server = self.spelled_out(word).server;
        self.members(word).is_some() || self.servers.iter().any(|known| known.name == server)
    }

    fn complaint(&self, word: &str, is_installed: &impl Fn(&str) -> bool) -> Option<String> {
        if let Some(members) = self.members(word) {
            let any = members.into_iter().any(is_installed);
            return (!any).then(|| format!("no server of the group {word} is installed"));
        }
        if word.contains('*') {
            let names = self.servers.iter().map(|server| server.name.as_ref());
            let mut matching = names.filter(|name| matches(word, name)).peekable();
            if matching.peek().is_none() {
                let meant = self.glob_meant(word);
                return Some(format!(
                    "no server matches {word}{}",
                    hint(meant.as_deref())
                ));
            }
            let any = matching.any(is_installed);
            return (!any).then(|| format!("no server that matches {word} is installed"));
        }
        let server = self.server(&self.spelled_out(word).server);
        if is_installed(&server.name) {
            return None;
        }
        if self.servers.iter().any(|known| known.name == server.name) {
            let (name, command) = (&server.name, &server.command);
            return Some(format!("{name} is not installed: {command} is not on PATH"));
        }
        let meant = self.name_meant(word);
        let word = if word.is_empty() { "''" } else { word };
        Some(format!("no such server: {word}{}", hint(meant.as_deref())))
    }

    /// The name that was probably meant, with the config that was named: `objct.1` is `object.1`.
    fn name_meant(&self, word: &str) -> Option<String> {
        let (server, config) = match word.split_once('.') {
            Some((server, _)) => (server, &word[server.len()..]),
            None => (word, ""),
        };
        let names = || self.servers.iter().map(|known| known.name.as_ref());
        let short = names().filter_map(|name| name.strip_suffix("-server"));
        let groups = self.groups().filter(|_| config.is_empty());
        let all: Vec<&str> = groups.chain(short).chain(names()).collect();
        closest(server, all).map(|name| format!("{name}{config}"))
    }

    /// The glob that was probably meant: its longest part without a star, put right, when that makes
    /// it match.
    fn glob_meant(&self, glob: &str) -> Option<String> {
        let part = glob.split('*').max_by_key(|part| part.len())?;
        let lengths = part.len().saturating_sub(2)..=part.len() + 2;
        let names = || self.servers.iter().map(|server| server.name.as_ref());
        let mut pieces = Vec::new();
        for name in names() {
            for at in 0..name.len() {
                pieces.extend(lengths.clone().filter_map(|n| name.get(at..at + n)));
            }
        }
        let fits = |piece: &&str| {
            let put_right = glob.replacen(part, piece, 1);
            names().any(|name| matches(&put_right, name))
        };
        let piece = closest(part, pieces.into_iter().filter(fits))?;
        Some(glob.replacen(part, piece, 1))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The complaints where only the proxy, the object server and a site's own are installed.
    fn complaints(words: &[&str]) -> Vec<String> {
        let installed = ["proxy-server", "object-server", "recon-cron"];
        Catalogue::load(Path::new("/nonexistent"))
            .unwrap()
            .complaints(words.iter().copied(), |name| installed.contains(&name))
    }

    #[test]
    fn what_is_installed_is_not_complained_of() {
        let words = [
            "proxy",
            "object-server.1",
            "main",
            "all",
            "*",
            "object-*",
            "recon-cron",
        ];
        assert_eq!(complaints(&words), [""; 0]);
    }

    #[test]
    fn each_wrong_word_is_named_once_with_the_closest_name() {
        for (word, what) in [
            ("objct", "no such server: objct (did you mean object?)"),
            (
                "objct.1",
                "no such server: objct.1 (did you mean object.1?)",
            ),
            ("Proxy", "no such server: Proxy (did you mean proxy?)"),
            ("mian", "no such server: mian (did you mean main?)"),
            ("elephant", "no such server: elephant"),
            ("", "no such server: ''"),
            (
                "account",
                "account-server is not installed: swift-account-server is not on PATH",
            ),
            ("rest", "no server of the group rest is installed"),
            ("account-*", "no server that matches account-* is installed"),
            (
                "objct-*",
                "no server matches objct-* (did you mean object-*?)",
            ),
            (
                "*-replcator",
                "no server matches *-replcator (did you mean *-replicator?)",
            ),
            ("elephant*", "no server matches elephant*"),
        ] {
            assert_eq!(complaints(&["proxy", word, word]), [what], "{word}");
        }
    }
}
