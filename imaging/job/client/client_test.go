package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/imaging/sign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a TLS daemon and returns its address and pin.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, job.KeyID) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, job.KeyID(sign.KeyID(s.Certificate().RawSubjectPublicKeyInfo))
}

func dial(t *testing.T, base string, pin job.KeyID) *client.Client {
	t.Helper()
	c, err := client.New(base, pin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answer(t *testing.T, w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func wantCode(t *testing.T, err error, want job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != want {
		t.Fatalf("error %v; want the code %s", err, want)
	}
}

func TestTheHandshakeCarriesTheAgentsKeyOverTLS13AndHTTP1(t *testing.T) {
	keys := make(chan string, 1)
	s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.Version != tls.VersionTLS13 || r.ProtoMajor != 1 {
			t.Errorf("TLS %x, HTTP/%d; want TLS 1.3 and HTTP/1", r.TLS.Version, r.ProtoMajor)
		}
		keys <- sign.KeyID(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
		answer(t, w, 200, job.HelloReply{Version: job.Version, Code: "ABCD-EFGH"})
	})
	c := dial(t, s.URL, pin)
	reply, err := c.Hello(t.Context(), job.Hello{Version: job.Version})
	if err != nil || reply.Code != "ABCD-EFGH" {
		t.Fatalf("Hello = %+v, %v", reply, err)
	}
	if got := <-keys; got != string(c.KeyID()) {
		t.Errorf("the daemon saw the key %s; want %s", got, c.KeyID())
	}
}

// TestThePinHoldsAtAnyTime: the clocks of laptop and server may be years apart, and no date of a certificate counts.
func TestThePinHoldsAtAnyTime(t *testing.T) {
	s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(t, w, 200, job.BootInfo{Version: job.Version}) })
	for _, years := range []int{-60, -1, 1, 400} {
		c := dial(t, s.URL, pin)
		tlsOf := c.HTTP().Transport.(*http.Transport).TLSClientConfig
		tlsOf.Time = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		if _, err := c.BootInfo(t.Context()); err != nil {
			t.Errorf("%d years away: %v", years, err)
		}
		other := dial(t, s.URL, job.KeyID("sha256:"+strings.Repeat("0", 64)))
		other.HTTP().Transport.(*http.Transport).TLSClientConfig.Time = tlsOf.Time
		_, err := other.BootInfo(t.Context())
		wantCode(t, err, job.CodePin)
	}
}

func TestAServerWithAnotherKeyIsRefusedAtOnce(t *testing.T) {
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("a request reached the wrong server") })
	c := dial(t, s.URL, job.KeyID("sha256:"+strings.Repeat("0", 64)))
	_, err := c.BootInfo(t.Context())
	wantCode(t, err, job.CodePin)
}

func TestAnEventIsRepeatedUntilTheDaemonIsBack(t *testing.T) {
	var tries atomic.Int32
	s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch tries.Add(1) {
		case 1:
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close() // the daemon dies before it answers
		case 2:
			answer(t, w, 500, job.Refusal{Fault: *job.Faultf(job.CodeDaemon, "restarting")})
		default:
			answer(t, w, 200, job.Ack{Seq: 7})
		}
	})
	ack, err := dial(t, s.URL, pin).State(t.Context(), "job1", job.StateEvent{Seq: 7, State: job.Writing})
	if err != nil || ack.Seq != 7 || tries.Load() != 3 {
		t.Fatalf("State = %+v, %v after %d tries; want seq 7 after 3", ack, err, tries.Load())
	}
}

func TestARefusalIsFinalAndKeepsItsWords(t *testing.T) {
	var tries atomic.Int32
	s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		answer(t, w, 403, job.Refusal{Fault: *job.Faultf(job.CodeTokenBound, "token ab12")})
	})
	_, err := dial(t, s.URL, pin).Hello(t.Context(), job.Hello{})
	wantCode(t, err, job.CodeTokenBound)
	if !strings.Contains(err.Error(), "token ab12") || tries.Load() != 1 {
		t.Errorf("error %q after %d tries; want the fact, after 1", err, tries.Load())
	}
}

func TestBadAnswersAreProtocolErrors(t *testing.T) {
	cases := map[string]func(w http.ResponseWriter){
		"no JSON":                     func(w http.ResponseWriter) { io.WriteString(w, "hello") },
		"two values":                  func(w http.ResponseWriter) { io.WriteString(w, `{"version":2}{}`) },
		"nothing":                     func(w http.ResponseWriter) {},
		"endless":                     func(w http.ResponseWriter) { w.Write(bytes.Repeat([]byte(" "), job.MaxBody+2)) },
		"another version":             func(w http.ResponseWriter) { fmt.Fprintf(w, `{"version":%d}`, job.Version+1) },
		"a redirect":                  func(w http.ResponseWriter) { w.Header().Set("Location", "/v1/boot"); w.WriteHeader(302) },
		"a refusal that says nothing": func(w http.ResponseWriter) { w.WriteHeader(404) },
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) { f(w) })
			_, err := dial(t, s.URL, pin).BootInfo(t.Context())
			wantCode(t, err, job.CodeProtocol)
		})
	}
}

func TestStage2IsTakenOnlyWhole(t *testing.T) {
	body := bytes.Repeat([]byte("stage2"), 1000)
	sum := sha256.Sum256(body)
	good := job.File{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(body))}
	cases := map[string]struct {
		send []byte
		file job.File
		want job.Code
	}{
		"as it should be":    {body, good, ""},
		"a flipped bit":      {append([]byte("S"), body[1:]...), good, job.CodeStage2},
		"cut short":          {body[:100], good, job.CodeStage2},
		"longer than told":   {append(bytes.Clone(body), 'x'), good, job.CodeStage2},
		"a path as a digest": {body, job.File{SHA256: "../../etc/passwd", Size: 1}, job.CodeProtocol},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(c.send) })
			var got bytes.Buffer
			err := dial(t, s.URL, pin).Stage2(t.Context(), c.file, &got)
			if c.want != "" {
				wantCode(t, err, c.want)
			} else if err != nil || !bytes.Equal(got.Bytes(), body) {
				t.Errorf("Stage2 = %d bytes, %v", got.Len(), err)
			}
		})
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close() // nobody listens there now
	c := dial(t, "https://"+addr, job.KeyID("sha256:"+strings.Repeat("a", 64)))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next = %v; want the context's own error", err)
	}
}

func TestBadAddressesAndPinsAreRefused(t *testing.T) {
	pin := job.KeyID("sha256:" + strings.Repeat("a", 64))
	for _, c := range []struct{ base, pin string }{
		{"http://h:1", string(pin)}, {"https://", string(pin)}, {"https://u@h", string(pin)}, {"https://h/x", string(pin)},
		{"https://h:1", ""}, {"https://h:1", "sha256:xyz"}, {"https://h:1", strings.ToUpper(string(pin))},
	} {
		if _, err := client.New(c.base, job.KeyID(c.pin)); err == nil {
			t.Errorf("New(%q, %q) = nil; want an error", c.base, c.pin)
		}
	}
}

// FuzzAnswers lets a hostile server answer with any bytes: whatever it sends is a value or a *job.Fault.
func FuzzAnswers(f *testing.F) {
	var status atomic.Int32
	var body atomic.Pointer[[]byte]
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
		w.Write(*body.Load())
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.StartTLS()
	f.Cleanup(s.Close)
	c, err := client.New(s.URL, job.KeyID(sign.KeyID(s.Certificate().RawSubjectPublicKeyInfo)))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	f.Add(200, []byte(`{"order":"work","job":"e30="}`))
	f.Add(403, []byte(`{"fault":{"code":"E102","fact":"x"}}`))
	f.Add(200, []byte(`{"order":1}`))
	f.Fuzz(func(t *testing.T, code int, b []byte) {
		status.Store(int32(200 + uint(code)%300)) // 5xx is asked again for ever
		body.Store(&b)
		_, err := c.Next(t.Context())
		var fault *job.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("status %d, body %q: %v has no words", status.Load(), b, err)
		}
	})
}

// TestAStickHearsATokenOrAReason holds what the answer to a stick may be.
func TestAStickHearsATokenOrAReason(t *testing.T) {
	for name, c := range map[string]struct {
		reply job.BootReply
		code  job.Code // of the error
		fault job.Code
	}{
		"a token":            {job.BootReply{Version: job.Version, Token: "abc"}, "", ""},
		"a reason":           {job.BootReply{Version: job.Version, Fault: job.Faultf(job.CodeBenchClosed, "")}, "", job.CodeBenchClosed},
		"a reason with junk": {job.BootReply{Version: job.Version, Fault: &job.Fault{Code: "\x1b[2J"}}, "", job.CodeInternal},
		"neither":            {job.BootReply{Version: job.Version}, job.CodeProtocol, ""},
		"another version":    {job.BootReply{Version: job.Version + 1, Token: "abc"}, job.CodeProtocol, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, pin := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(t, w, 200, c.reply) })
			reply, err := dial(t, s.URL, pin).Start(t.Context(), job.BootRequest{Version: job.Version})
			if c.code != "" {
				wantCode(t, err, c.code)
				return
			}
			if err != nil || (reply.Fault == nil) != (c.fault == "") || reply.Fault != nil && reply.Fault.Code != c.fault {
				t.Errorf("Start = %+v, %v; want the fault %q", reply, err, c.fault)
			}
		})
	}
}

// TestADaemonThatIsNotThereIsSaidInWords: one try is all that Progress has.
func TestADaemonThatIsNotThereIsSaidInWords(t *testing.T) {
	s, pin := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := dial(t, s.URL, pin)
	s.Close()
	_, err := c.Progress(t.Context(), "0123456789abcdef", job.Progress{})
	wantCode(t, err, job.CodeUnreachable)
}
