package daftysim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Server is a [Simulator] that can be reached.
type Server struct {
	*Simulator
	// URL is the base of the API, [BasePath] included.
	URL string

	client *http.Client
	close  func()
}

// Serve serves a simulator on a free port of the loopback interface.
func Serve(s *Simulator) *Server {
	server := httptest.NewServer(s)
	return &Server{Simulator: s, URL: server.URL + BasePath, client: server.Client(), close: server.Close}
}

// ServeInMemory serves a simulator on pipes: it can only be reached by the
// server's own client and transport, and works inside a testing/synctest bubble, where
// real sockets would keep time from going on.
func ServeInMemory(s *Simulator) *Server {
	pipes := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 0}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(pipes) // ends with the listener
	}()
	transport := &http.Transport{DialContext: pipes.dial}
	return &Server{
		Simulator: s,
		URL:       "http://dafty.test" + BasePath,
		client:    &http.Client{Transport: transport},
		close: func() {
			transport.CloseIdleConnections()
			_ = server.Close()
			<-served
		},
	}
}

// Client reaches the server; so does its Transport, which keeps all of
// [http.Transport]'s habits.
func (s *Server) Client() *http.Client { return s.client }

// Close ends all held requests and the server.
func (s *Server) Close() {
	s.Simulator.Close()
	s.client.CloseIdleConnections()
	s.close()
}

// pipeListener hands out in-memory connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
