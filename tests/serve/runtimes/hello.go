package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	listener, err := net.FileListener(os.NewFile(3, "listen"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("text=hello\n"))
	})}
	if len(os.Args) > 1 {
		log.Fatal(os.Args[1])
	}
	if ready, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		ready.Write([]byte("READY=1"))
	}
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	ended := make(chan error)
	go func() {
		<-stop.Done()
		ended <- server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}
