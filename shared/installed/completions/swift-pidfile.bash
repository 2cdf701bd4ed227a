complete -o default -W '--clean --no-start --owned --running --swift-dir -q --quiet -h --help -V --version' swift-pidfile
