//! The program `swift-serve`.

fn main() -> swift_cli::Exit {
    swift_serve::main()
}
