complete -o default -W '-h --help -V --version -q --quiet --swift-dir -t --timeout -w --no-wait --no-check --check-timeout --one-by-one -v --verbose' swift-reload
