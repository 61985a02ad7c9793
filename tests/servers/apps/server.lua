-- One request at a time on LuaSocket; one connection is one request.
local socket = require 'socket'

local function pid()
  local file = assert(io.open('/proc/self/stat'))
  local number = file:read('n')
  file:close()
  return number
end

local server = assert(socket.bind('127.0.0.1', tonumber(os.getenv('PORT'))))
local body = string.format('{"pid":%d}', pid())
while true do
  local client = server:accept()
  repeat local line = client:receive() until not line or line == ''
  client:send('HTTP/1.1 200 OK\r\nContent-Length: ' .. #body .. '\r\n')
  client:send('Connection: close\r\n\r\n' .. body)
  client:close()
end
