directory __dir__
bind 'tcp://127.0.0.1:8080'
rackup 'hello.ru'
# Puma closes what it has accepted and not yet read, unless its threads read requests themselves.
queue_requests false
