package httpserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func hashOf(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	return string(h)
}

// certificate writes cert.pem and key.pem for 127.0.0.1 and returns what trusts them.
func certificate(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(t, filepath.Join(dir, "cert.pem"), string(certPEM))
	writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return pool
}

const tlsSection = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"

func basic(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

func TestTLSAndPasswordsOnAllListeners(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir, 1)
	cfg := testConfig()
	cfg.WebConfigFile = filepath.Join(dir, "web.yml")
	writeFile(t, cfg.WebConfigFile, tlsSection+"http_server_config: {headers: {X-Frame-Options: deny}}\nbasic_auth_users: {alice: "+hashOf(t, "secret")+"}\n")
	s := serve(t, cfg, func(s *Server) {
		s.Handle("/proto", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) }))
		s.OTLPHTTP().Handle("/v1/metrics", text("otlp"))
		registerRPC(nil)(s)
	})
	trust := &tls.Config{RootCAs: pool}
	h1 := client(t, func(tr *http.Transport) { tr.TLSClientConfig = trust.Clone() })
	h2 := client(t, func(tr *http.Transport) {
		tr.TLSClientConfig = trust.Clone()
		tr.ForceAttemptHTTP2 = true
	})
	good := []string{"Authorization", basic("alice", "secret")}
	require.Equal(t, "HTTP/1.1", do(t, h1, "GET", s.url+"/proto", "", good...).body)
	require.Equal(t, "HTTP/2.0", do(t, h2, "GET", s.url+"/proto", "", good...).body)
	otlp := "https://" + s.Addr(OTLPHTTP).String()
	require.Equal(t, "otlp", do(t, h1, "POST", otlp+"/v1/metrics", "", good...).body)

	for _, auth := range []string{"", basic("alice", "wrong"), basic("bob", "secret"), basic("bob", "fakepassword"), "Bearer x"} {
		for _, url := range []string{s.url + "/proto", otlp + "/v1/metrics", s.url + "/nothing"} {
			a := do(t, h2, "GET", url, "", "Authorization", auth)
			require.Equal(t, 401, a.StatusCode, auth)
			require.Contains(t, a.Header.Get("WWW-Authenticate"), "Basic")
			require.Equal(t, "deny", a.Header.Get("X-Frame-Options"))
		}
	}
	a := do(t, h1, "OPTIONS", s.url+"/proto", "", "Origin", "https://x")
	require.Equal(t, 204, a.StatusCode, "a browser's preflight has no password")

	for _, l := range rpcListeners {
		cc := rpcConn(t, s, l, grpc.WithTransportCredentials(credentials.NewTLS(trust.Clone())))
		_, err := exportTo(t.Context(), cc)
		require.Equal(t, codes.Unauthenticated, status.Code(err), "%s: %v", l, err)
		_, err = exportTo(metadata.AppendToOutgoingContext(t.Context(), "authorization", basic("alice", "wrong")), cc)
		require.Equal(t, codes.Unauthenticated, status.Code(err))
		_, err = exportTo(metadata.AppendToOutgoingContext(t.Context(), "authorization", basic("alice", "secret")), cc)
		require.NoError(t, err, l)
		require.GreaterOrEqual(t, s.metric("signalbox_http_requests_refused_total", "listener="+l, "reason=unauthorized"), 2.0)
	}
	require.Len(t, s.web.known.right, 1, "wrong passwords are not remembered")

	// Who does not speak TLS is counted, and harms nobody.
	ends(t, plainHello(t, s.Addr(Main)))
	ends(t, plainHello(t, s.Addr(OTLPGRPC)))
	s.eventually(func() bool { return s.metric("signalbox_http_tls_handshake_errors_total", "listener=http") == 1 }, "counted")
}

func plainHello(t *testing.T, addr net.Addr) net.Conn {
	nc := dial(t, addr)
	_, err := nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	return nc
}

func TestSilentTLSClientsAreEnded(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir, 1)
	cfg := brief()
	cfg.WebConfigFile = filepath.Join(dir, "web.yml")
	writeFile(t, cfg.WebConfigFile, tlsSection)
	s := serve(t, cfg, nil)
	for _, l := range []string{Main, OTLPHTTP, OTLPGRPC} {
		nc := dial(t, s.Addr(l))
		_, err := nc.Write([]byte{0x16, 3, 1}) // the beginning of a ClientHello
		require.NoError(t, err)
		ends(t, nc)
		require.EqualValues(t, 1, s.metric("signalbox_http_timeouts_total", "listener="+l, "phase=header"), l)
	}
}

// touch makes a change visible to the reload without waiting for the clock.
func (r *running) touch(content string) {
	writeFile(r.t, r.web.path, content)
	r.web.mu.Lock()
	defer r.web.mu.Unlock()
	r.web.mu.checked, r.web.mu.seen = time.Time{}, fileStamp{}
}

func TestWebConfigReload(t *testing.T) {
	dir := t.TempDir()
	pool := certificate(t, dir, 1)
	cfg := testConfig()
	cfg.WebConfigFile = filepath.Join(dir, "web.yml")
	writeFile(t, cfg.WebConfigFile, tlsSection+"basic_auth_users: {alice: "+hashOf(t, "one")+"}\n")
	s := serve(t, cfg, func(s *Server) { s.Handle("/x", text("x")) })
	get := func(pass string, pool *x509.CertPool) int {
		c := client(t, func(tr *http.Transport) {
			tr.TLSClientConfig = &tls.Config{RootCAs: pool}
			tr.DisableKeepAlives = true
		})
		return do(t, c, "GET", s.url+"/x", "", "Authorization", basic("alice", pass)).StatusCode
	}
	require.Equal(t, 200, get("one", pool))
	for _, faulty := range []string{"nonsense", "basic_auth_users: {alice: plain}\n", tlsSection + "unknown: 1\n", "basic_auth_users: {}\n"} {
		s.touch(faulty)
		require.Equal(t, 200, get("one", pool), "the file before stays in force")
	}
	require.EqualValues(t, 4, s.metric("signalbox_http_web_config_failures_total"))
	require.Contains(t, s.logs.String(), "stays in force")

	pool2 := certificate(t, dir, 2)
	s.touch(tlsSection + "basic_auth_users: {alice: " + hashOf(t, "two") + "}\n")
	require.Equal(t, 401, get("one", pool2))
	require.Equal(t, 200, get("two", pool2))

	require.NoError(t, os.Remove(cfg.WebConfigFile))
	require.Equal(t, 200, get("two", pool2))
}

func TestWebConfigRateLimit(t *testing.T) {
	cfg := testConfig()
	cfg.WebConfigFile = filepath.Join(t.TempDir(), "web.yml")
	writeFile(t, cfg.WebConfigFile, "rate_limit: {interval: 1h, burst: 2}\n")
	s := serve(t, cfg, func(s *Server) {
		s.Handle("/x", text("x"))
		registerRPC(nil)(s)
	})
	c := client(t, nil)
	for _, want := range []int{200, 200, 429} {
		a := do(t, c, "GET", s.url+"/x", "")
		require.Equal(t, want, a.StatusCode)
		require.Equal(t, want == 429, a.Header.Get("Retry-After") != "")
	}
	_, err := exportTo(t.Context(), rpcConn(t, s, OTLPGRPC))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
}

func TestWebConfigFaults(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"missing.yml": "",
		"nonsense":    "a: b",
		"hash":        "basic_auth_users: {alice: plain}",
		"cert":        "tls_server_config: {cert_file: none.pem, key_file: none.pem}",
	} {
		cfg := testConfig()
		cfg.WebConfigFile = filepath.Join(dir, name)
		if content != "" {
			writeFile(t, cfg.WebConfigFile, content)
		}
		_, err := New(cfg, Options{})
		require.ErrorContains(t, err, "web_config_file: ", name)
	}
}
