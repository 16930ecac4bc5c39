# Two workers. At its end puma sometimes waits for one that does not end.
workers 2
worker_shutdown_timeout 2
app { |env| [200, { 'content-type' => 'text/plain' }, ["ok\n"]] }
