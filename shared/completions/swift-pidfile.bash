complete -o default -W '--clean --running --swift-dir -q --quiet -h --help -V --version' swift-pidfile
