//! One parser on one input of a size: `fuzz-growth CASE SIZE`. `tests/fuzz/growth` counts its
//! instructions for sizes that double.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let size = words.get(1).and_then(|size| size.parse().ok());
    match (words.first(), size) {
        (Some(name), Some(size)) => properties::growth::run(name, size),
        _ => print!("{}", properties::growth::cases()),
    }
}
