//! Between the committed inputs, one a line, and those of libFuzzer, one a file:
//!
//! ```text
//! fuzz-corpus unpack NAME DIRECTORY    write the inputs of a property into a directory
//! fuzz-corpus line FILE...             print files as lines for corpus/NAME.txt
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::fs;
use std::path::Path;

use properties::corpus::{escape, inputs};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["unpack", name, directory] => {
            fs::create_dir_all(directory)?;
            for (number, input) in inputs(name).into_iter().enumerate() {
                fs::write(Path::new(directory).join(format!("line-{number}")), input)?;
            }
        }
        ["line", ref files @ ..] => {
            for file in files {
                println!("{}", escape(&fs::read(file)?));
            }
        }
        _ => return Err("fuzz-corpus unpack NAME DIRECTORY, or fuzz-corpus line FILE...".into()),
    }
    Ok(())
}
