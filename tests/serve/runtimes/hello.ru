run lambda { |env| [200, { 'content-type' => 'text/plain', 'content-length' => '11' }, ["text=hello\n"]] }
