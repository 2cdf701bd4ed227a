complete -o default -W '-h --help -V --version -q --quiet --swift-dir --site-file --wait --kill --announce --children stop graceful seamless HUP USR1 TERM KILL' swift-signal
