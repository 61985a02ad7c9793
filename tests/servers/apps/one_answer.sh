#!/bin/sh
# Answers the HTTP request on its standard input.
while read -r line; do
    [ "$line" = "$(printf '\r')" ] && break
done
printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n'
