//! Sections of configs.

use std::path::Path;

use swift_records::config;

/// Whether a config, a file or a directory of files, has that section. The
/// error names the file, and the line where it makes no sense.
pub fn has_section(config: &Path, section: &str) -> Result<bool, String> {
    config::read(config).map(|ini| ini.has_section(section))
}
