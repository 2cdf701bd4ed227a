//! The tables and keys of swift-init.toml(5).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::model::{Source, Word};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) defaults: Defaults,
    pub(super) limits: LimitsTable,
    pub(super) server: BTreeMap<Spanned<String>, ServerTable>,
    pub(super) groups: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    pub(super) run_dir: Option<PathBuf>,
    pub(super) kill_wait: Option<u32>,
    pub(super) log: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) files: Option<u64>,
    pub(super) data: Option<u64>,
    pub(super) processes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTable {
    pub(super) command: Option<Spanned<String>>,
    pub(super) group: Option<Spanned<String>>,
    pub(super) config: Option<Spanned<Vec<SourceForm>>>,
    pub(super) stop: Option<Spanned<String>>,
    pub(super) graceful: Option<Spanned<String>>,
    pub(super) seamless: Option<Spanned<String>>,
    pub(super) once: Option<bool>,
    pub(super) swift: Option<Spanned<String>>,
    pub(super) check: Option<bool>,
    pub(super) notify: Option<bool>,
    pub(super) serve: Option<bool>,
}

/// A source, or its stem alone.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum SourceForm {
    Stem(Word),
    Table(Source),
}

impl From<SourceForm> for Source {
    fn from(form: SourceForm) -> Source {
        match form {
            SourceForm::Stem(stem) => Source::new(stem),
            SourceForm::Table(source) => source,
        }
    }
}
