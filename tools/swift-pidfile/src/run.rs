//! From rows to rows.

use shared::catalogue::{Catalogue, Server};
use shared::cli::Exit;
use shared::row::Row;
use shared::rundirs::RunDirs;
use shared::state::State;
use shared::stream::{self, BadRow};

use crate::examine::examine;
use crate::options::{Options, TOOL};

/// Does what the command line says.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&options.swift_dir)?;
    let mut output = stream::stdout()?;
    let mut run_dirs = RunDirs::default();
    // Rows of one server stand together.
    let mut server: Option<Server> = None;
    stream::each_row(&TOOL, std::io::stdin(), &mut output, |row, output| {
        if row.pidfile.is_none() {
            if !options.running || is_running(&row) {
                output.put(&row)?;
            }
            return Ok(Exit::Ok);
        }
        let server = match &mut server {
            Some(server) if server.name == row.server => server,
            other => other.insert(catalogue.server(&row.server)),
        };
        let examined = examine(row, server, &mut run_dirs, options.clean).map_err(BadRow)?;
        if !options.running || is_running(&examined.row) {
            output.put(&examined.row)?;
        }
        if examined.world_writable {
            let path = examined.row.pidfile.as_deref().unwrap_or("".as_ref());
            let (path, server) = (path.display(), &examined.row.server);
            TOOL.say(&format!("{path} ({server}): writable by everybody"));
        }
        Ok(match examined.failure {
            Some(failure) => {
                if !options.quiet {
                    TOOL.say(&failure);
                }
                Exit::Failed
            }
            None => Exit::Ok,
        })
    })
}

fn is_running(row: &Row) -> bool {
    matches!(row.state, State::Running | State::Starting | State::Denied)
}
