require 'webrick'

server = WEBrick::HTTPServer.new(
  BindAddress: '127.0.0.1', Port: ENV.fetch('PORT').to_i,
  Logger: WEBrick::Log.new(File::NULL), AccessLog: []
)
server.mount_proc('/') { |_request, response| response.body = %({"pid":#{Process.pid}}) }
trap('TERM') { server.shutdown }
trap('INT') { server.shutdown }
server.start
