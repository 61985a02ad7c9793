// An HTTP server in Go, which calls the kernel without libc: it answers with who it is and who
// asks, as JSON.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func value(name, otherwise string) string {
	if text := os.Getenv(name); text != "" {
		return text
	}
	return otherwise
}

func answer(reply http.ResponseWriter, request *http.Request) {
	host, port, _ := net.SplitHostPort(request.RemoteAddr)
	own := request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, ownPort, _ := net.SplitHostPort(own.String())
	body := fmt.Sprintf(`{"pid": %d, "slot": %s, "peer": ["%s", %s], "port": %s}`,
		os.Getpid(), value("BATON_SLOT", "-1"), host, port, ownPort)
	reply.Header().Set("Content-Length", fmt.Sprint(len(body)))
	fmt.Fprint(reply, body)
}

func main() {
	listener, err := net.Listen("tcp", value("HOST", "")+":"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, port, _ := net.SplitHostPort(listener.Addr().String()); port != os.Getenv("PORT") {
		fmt.Fprintln(os.Stderr, "listens on", listener.Addr())
		os.Exit(1)
	}
	fmt.Printf("{\"event\": \"listening\", \"pid\": %d, \"slot\": %s}\n",
		os.Getpid(), value("BATON_SLOT", "-1"))
	server := http.Server{Handler: http.HandlerFunc(answer), ReadTimeout: time.Minute}
	server.Serve(listener)
}
