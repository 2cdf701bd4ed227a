complete -o default -W '-c --config-num -r --run-dir --list --swift-dir -q --quiet -h --help -V --version all main rest' swift-resolve-servers
