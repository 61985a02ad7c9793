# One connection is one request.
proc answer {channel} {
    if {[gets $channel line] >= 0 && [string trim $line] ne ""} return
    if {[fblocked $channel]} return
    if {![eof $channel]} {
        set body "{\"pid\":[pid]}"
        puts -nonewline $channel "HTTP/1.1 200 OK\r\nContent-Length: [string length $body]\r\n"
        puts -nonewline $channel "Connection: close\r\n\r\n$body"
    }
    catch {close $channel}
}

proc accept {channel address port} {
    fconfigure $channel -translation binary -blocking 0
    fileevent $channel readable [list answer $channel]
}

socket -server accept -myaddr 127.0.0.1 $env(PORT)
vwait forever
