complete -o default -W '--once --no-wait --foreground --supervise --input-fd --output-fd --error-fd --start-timeout --keep-limits --swift-dir -q --quiet -h --help -V --version' swift-spawn
