complete -o default -W '--timeout --swift-dir -q --quiet -h --help -V --version' swift-check-config
