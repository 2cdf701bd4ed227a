complete -o default -W '--test-config -v --verbose --status -h --help -V --version' swift-serve
