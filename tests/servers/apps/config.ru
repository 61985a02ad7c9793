run lambda { |_environment|
  body = %({"pid":#{Process.pid}})
  [200, { 'Content-Type' => 'application/json', 'Content-Length' => body.bytesize.to_s }, [body]]
}
