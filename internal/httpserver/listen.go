package httpserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// binding is the part of a listener that concerns its address.
type binding struct {
	name   string // label in metrics
	option string // the option that sets the address, for messages
	addr   string
	ln     *listener // nil until Listen
}

func (b *binding) base() *binding { return b }

// Listen binds every port, or none: the error names the option to change and
// who could hold the port.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.shutdown != nil:
		return errStopped
	case s.mu.listening:
		return errors.New("BUG: Listen called twice")
	}
	var errs []error
	for _, l := range s.listeners() {
		b := l.base()
		ln, err := net.Listen("tcp", b.addr)
		if err != nil {
			errs = append(errs, b.explain(err))
			continue
		}
		b.ln = newListener(ln, s.cfg.MaxConnections, s.cfg.WriteTimeout, s.web.tlsOn(), s.m.forListener(b.name))
	}
	if err := errors.Join(errs...); err != nil {
		for _, l := range s.listeners() {
			if b := l.base(); b.ln != nil {
				errs = append(errs, b.ln.Close())
				b.ln = nil
			}
		}
		return errors.Join(errs...)
	}
	s.mu.listening = true
	s.warnWide()
	return nil
}

// explain turns a failure to bind into what an operator can do about it.
func (b *binding) explain(err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		who := "another signalbox, or another program"
		if b.name != Main {
			who = "an OpenTelemetry collector or agent, or another signalbox,"
		}
		_, port, _ := net.SplitHostPort(b.addr)
		hint = fmt.Sprintf(": %s may hold the port (`ss -ltnp sport = :%s` shows it); stop it or change the option", who, port)
	case errors.Is(err, os.ErrPermission):
		hint = ": ports below 1024 need the capability CAP_NET_BIND_SERVICE; change the option"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = ": this machine does not have that address; change the option"
	}
	return fmt.Errorf("%s: %w%s", b.option, err, hint)
}

// warnWide says once that anybody who reaches the port may read and write.
func (s *Server) warnWide() {
	if s.web.authenticates() {
		return
	}
	var wide, options []string
	for _, l := range s.listeners() {
		b := l.base()
		if a, ok := b.ln.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			wide = append(wide, a.String())
			options = append(options, b.option)
		}
	}
	if len(wide) > 0 {
		s.log.Warn("listening beyond this machine without a password: whoever reaches the port may read and write everything",
			"addresses", strings.Join(wide, ","),
			"fix", "set http.web_config_file to a file with basic_auth_users, or set "+strings.Join(options, " and ")+" to an address on 127.0.0.1")
	}
}
