package deploy_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// send makes one request and gives its status and the Refusal in its body.
func send(t *testing.T, c *http.Client, method, url, body string) (int, job.Fault) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	must(t, err)
	res, err := c.Do(req)
	if err != nil {
		t.Errorf("%s %.60s: %v", method, url, err)
		return 0, job.Fault{}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, job.MaxBody))
	must(t, err)
	var r job.Refusal
	if json.Unmarshal(b, &r) != nil {
		r.Fault.Fact = "no refusal: " + string(b)
	}
	return res.StatusCode, r.Fault
}

// unknown is a client that trusts whatever answers and shows a certificate, or none.
func unknown(certs ...tls.Certificate) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}}
}

// TestHostileWordsOnARunningJob sends what a broken or hostile agent may send while a job runs: each gets its
// refusal, and the job, the device and its record stay as they were.
func TestHostileWordsOnARunningJob(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	other := b.adopted("OTHER99", "PC-2")
	b.order("PC-1")
	j := l.work()
	l.reach(j, job.Writing) // seq 3
	ctx := context.Background()
	before, err := b.s.Job(ctx, j.ID)
	must(t, err)
	at := "/v1/jobs/" + string(j.ID) + "/"
	res, err := json.Marshal(result(j))
	must(t, err)
	elsewhere, err := json.Marshal(job.Result{Job: "another", State: job.Failed})
	must(t, err)
	crowd, err := json.Marshal(job.Result{Job: j.ID, State: job.Failed, Proof: job.Proof{Personalised: &job.PersonalisedProof{Files: make([]job.WrittenFile, 1001)}}})
	must(t, err)
	for _, c := range []struct {
		name, method, path, body string
		as                       *laptop
		status                   int
		want                     job.Code
	}{
		{"a state that is no JSON", "POST", at + "state", "writing", l, 400, job.CodeBadRequest},
		{"a state that is a list", "POST", at + "state", `[4,"flushed"]`, l, 400, job.CodeBadRequest},
		{"a state of a wrong type", "POST", at + "state", `{"seq":"4","state":"flushed"}`, l, 400, job.CodeBadRequest},
		{"a state with something behind it", "POST", at + "state", `{"seq":4,"state":"flushed"}{"seq":5,"state":"verified"}`, l, 400, job.CodeBadRequest},
		{"a state with a huge body", "POST", at + "state", `{"seq":4,"state":"` + strings.Repeat("f", job.MaxBody) + `"}`, l, 400, job.CodeBadRequest},
		{"a negative number", "POST", at + "state", `{"seq":-1,"state":"flushed"}`, l, 400, job.CodeBadRequest},
		{"number zero", "POST", at + "state", `{"seq":0,"state":"flushed"}`, l, 409, job.CodeState},
		{"the largest number", "POST", at + "state", `{"seq":18446744073709551615,"state":"flushed"}`, l, 409, job.CodeState},
		{"a replayed number with another state", "POST", at + "state", `{"seq":3,"state":"committed"}`, l, 409, job.CodeState},
		{"a state long past", "POST", at + "state", `{"seq":1,"state":"claimed"}`, l, 409, job.CodeState},
		{"a state out of order", "POST", at + "state", `{"seq":4,"state":"committing"}`, l, 409, job.CodeState},
		{"a state that does not exist", "POST", at + "state", `{"seq":4,"state":"finished\u001b[2J"}`, l, 409, job.CodeState},
		{"done without its result", "POST", at + "state", `{"seq":4,"state":"done"}`, l, 409, job.CodeState},
		{"another laptop's key", "POST", at + "state", `{"seq":4,"state":"flushed"}`, other, 403, job.CodeJobKey},
		{"progress by another key", "POST", at + "progress", `{"phase":"writing"}`, other, 403, job.CodeJobKey},
		{"progress that is no JSON", "POST", at + "progress", `{"phase"`, l, 400, job.CodeBadRequest},
		{"progress beyond every number", "POST", at + "progress", `{"done_bytes":1e400}`, l, 400, job.CodeBadRequest},
		{"the secret for another key", "GET", at + "personal", "", other, 403, job.CodeJobKey},
		{"the secret before the content is verified", "GET", at + "personal", "", l, 409, job.CodeState},
		{"a result by another key", "POST", at + "result", string(res), other, 403, job.CodeJobKey},
		{"a result of another job", "POST", at + "result", string(elsewhere), l, 400, job.CodeBadRequest},
		{"a result that is no end", "POST", at + "result", `{"job":"` + string(j.ID) + `","state":"writing"}`, l, 400, job.CodeBadRequest},
		{"a result with a broken digest", "POST", at + "result", `{"job":"` + string(j.ID) + `","state":"done","proof":{"content":{"manifest":"zz"}}}`, l, 400, job.CodeBadRequest},
		{"a result with a thousand and one files", "POST", at + "result", string(crowd), l, 400, job.CodeBadRequest},
		{"a job that is not there", "POST", "/v1/jobs/aaaaaaaaaaaaaaaa/state", `{"seq":1,"state":"claimed"}`, l, 404, job.CodeNotFound},
		{"a job's id of a megabyte less", "GET", "/v1/jobs/" + strings.Repeat("a", 8000) + "/personal", "", l, 404, job.CodeNotFound},
		{"a path that is not there", "GET", "/v1/jobs", "", l, 404, job.CodeNotFound},
		{"a path above", "GET", "/v1/../ingot.db", "", l, 404, job.CodeNotFound},
		{"a method that is not there", "DELETE", at + "state", "", l, 404, job.CodeNotFound},
		{"another image's manifest", "GET", "/v1/manifests/" + imaging.Sum([]byte("x")).String(), "", l, 403, job.CodeJobKey},
		{"a manifest by another key", "GET", "/v1/manifests/" + manifest.String(), "", other, 403, job.CodeJobKey},
		{"half a digest", "GET", "/v1/manifests/" + manifest.String()[:32], "", l, 400, job.CodeBadRequest},
		{"a digest with dots", "GET", "/v1/chunks/..%2f..%2fingot.db?extents=0-1", "", l, 400, job.CodeBadRequest},
		{"stage 2 of another bundle", "GET", "/v1/stage2/" + strings.Repeat("0", 64), "", l, 500, job.CodeDaemon}, // this bench has no bundle
	} {
		status, f := send(t, c.as.c.HTTP(), c.method, b.base+c.path, c.body)
		if status != c.status || f.Code != c.want {
			t.Errorf("%s: status %d, %.200v; want %d %s", c.name, status, f, c.status, c.want)
		}
	}
	after, err := b.s.Job(ctx, j.ID)
	must(t, err)
	if after.State != job.Writing || after.Sequence != before.Sequence || len(after.Steps) != len(before.Steps) || after.AgentKey != l.c.KeyID() {
		t.Errorf("the job became %+v", after.Job)
	}
	if d := b.device("PC-1"); d.State != store.Deploying || d.Name != "PC-1" || d.Holds != nil {
		t.Errorf("the device became %+v", d.Device)
	}
	l.seq = 3
	for _, s := range []job.State{job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	_, err = l.c.Result(ctx, j.ID, result(j))
	must(t, err)
	if d := b.device("PC-1"); d.State != store.Deployed {
		t.Errorf("after all that the deploy ends as %s; want deployed", d.State)
	}
}

// TestStrangersKeys: whoever shows no key, a key of another kind, or a key that never said Hello, gets no
// further, and no word of theirs reaches a record.
func TestStrangersKeys(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	must(t, err)
	fresh := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, c := range []struct {
		name   string
		client *http.Client
		status int
		state  job.Code // what a state event is refused with
		next   job.Code
	}{
		{"no key", unknown(), 403, job.CodeJobKey, job.CodeJobKey},
		{"a key that never said Hello", unknown(fresh), 403, job.CodeJobKey, job.CodeToken},
	} {
		if status, f := send(t, c.client, "POST", b.base+"/v1/jobs/"+string(j.ID)+"/state", `{"seq":1,"state":"claimed"}`); status != c.status || f.Code != c.state {
			t.Errorf("%s, state: %d %v; want %d %s", c.name, status, f, c.status, c.state)
		}
		if status, f := send(t, c.client, "GET", b.base+"/v1/next", ""); status != c.status || f.Code != c.next {
			t.Errorf("%s, next: %d %v; want %s", c.name, status, f, c.next)
		}
		if status, f := send(t, c.client, "GET", b.base+"/v1/manifests/"+manifest.String(), ""); status != c.status || f.Code != job.CodeJobKey {
			t.Errorf("%s, manifest: %d %v; want %s", c.name, status, f, job.CodeJobKey)
		}
	}
	// The certificate of the running agent without its private key: the handshake itself fails.
	forged := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: mustKey(t)}
	if res, err := unknown(forged).Get(b.base + "/v1/next"); err == nil {
		res.Body.Close()
		t.Error("a certificate without its key was taken")
	}
	old := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}}}
	if res, err := old.Get(b.base + "/v1/boot"); err == nil {
		res.Body.Close()
		t.Error("TLS 1.2 was spoken")
	}
	if v, err := b.s.Job(context.Background(), j.ID); err != nil || v.AgentKey != l.c.KeyID() || v.State != job.Approved {
		t.Errorf("the job became %+v, %v", v.Job, err)
	}
	l.reach(j, job.Claimed)
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return k
}

// TestHostileBytesOnTheAgentPort: what is no TLS, or TLS and no HTTP, is cut off, and the next laptop is served.
func TestHostileBytesOnTheAgentPort(t *testing.T) {
	b := newBench(t)
	addr := strings.TrimPrefix(b.base, "https://")
	for name, raw := range map[string][]byte{
		"plain HTTP":         []byte("GET /v1/boot HTTP/1.1\r\nHost: x\r\n\r\n"),
		"noise":              bytes.Repeat([]byte{0xA5}, 4096),
		"half a ClientHello": {0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3},
		"a record too long":  {0x16, 3, 1, 0xFF, 0xFF, 1},
	} {
		conn, err := net.Dial("tcp", addr)
		must(t, err)
		conn.Write(raw)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		got, err := io.ReadAll(io.LimitReader(conn, 4096))
		if err != nil && strings.Contains(err.Error(), "timeout") || bytes.Contains(got, []byte(" 200 ")) {
			t.Errorf("%s: answered %q, %v", name, got, err)
		}
		conn.Close()
	}
	inside := func(name, request string, want string) {
		t.Helper()
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		defer conn.Close()
		io.WriteString(conn, request)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		line := make([]byte, 12)
		if _, err := io.ReadFull(conn, line); err != nil || string(line[9:]) != want {
			t.Errorf("%s: %q, %v; want status %s", name, line, err, want)
		}
	}
	inside("no HTTP", "hello\r\n\r\n", "400")
	inside("no host", "GET /v1/boot HTTP/1.1\r\n\r\n", "400")
	inside("endless headers", "GET /v1/boot HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 64<<10)+"\r\n\r\n", "431")
	inside("two lengths", "POST /v1/callhome HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400")
	inside("a control character in the path", "GET /v1/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "400")
	l := b.laptop("ABC1234")
	l.boot()
	l.sayHello()
}

// TestACallHomeIsTakenOnceFromItsOwnSystem: whatever else comes gets one and the same answer.
func TestACallHomeIsTakenOnceFromItsOwnSystem(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	homes := map[string]job.Personal{}
	for serial, name := range map[string]string{"ABC1234": "PC-1", "OTHER99": "PC-2"} {
		l := b.adopted(serial, name)
		b.order(name)
		j := l.work()
		l.reach(j, job.Verified)
		p, err := l.c.Personal(ctx, j.ID)
		must(t, err)
		for _, s := range []job.State{job.Personalised, job.Committing, job.Committed} {
			l.seq++
			_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: l.seq, State: s})
			must(t, err)
		}
		_, err = l.c.Result(ctx, j.ID, result(j))
		must(t, err)
		homes[name] = p
	}
	one, two := homes["PC-1"], homes["PC-2"]
	call := func(c job.CallHome) (int, job.Fault) {
		body, err := json.Marshal(c)
		must(t, err)
		return send(t, unknown(), "POST", b.base+"/v1/callhome", string(body))
	}
	for name, c := range map[string]job.CallHome{
		"no secret":                {Deployment: one.Deployment},
		"another system's secret":  {Deployment: one.Deployment, Secret: two.CallHomeSecret},
		"the secret's hash":        {Deployment: one.Deployment, Secret: imaging.Sum([]byte(one.CallHomeSecret)).String()},
		"an unknown deployment":    {Deployment: "aaaaaaaaaaaaaaaa", Secret: one.CallHomeSecret},
		"no deployment":            {Secret: one.CallHomeSecret},
		"a deployment with a path": {Deployment: "../" + one.Deployment, Secret: one.CallHomeSecret},
	} {
		if status, f := call(c); status != 403 || f.Code != job.CodePolicy || f.Fact != "The call home is not expected." {
			t.Errorf("%s: %d %v; want the one refusal", name, status, f)
		}
	}
	good := job.CallHome{Deployment: one.Deployment, Secret: one.CallHomeSecret, Hostname: "PC-1\x1b[2J", OS: "Debian"}
	if status, f := call(good); status != http.StatusNoContent {
		t.Fatalf("the right one: %d %v", status, f)
	}
	if status, f := call(good); status != 403 || f.Code != job.CodePolicy {
		t.Errorf("a second time: %d %v; want refused", status, f)
	}
	if o := b.device("PC-2").Holds.Observed; o != nil {
		t.Errorf("the other system was observed as %+v", o)
	}
	for _, e := range mustTrail(t, b) {
		if strings.Contains(e.Text, "\x1b") {
			t.Errorf("the trail holds a control character: %q", e.Text)
		}
	}
}

func mustTrail(t *testing.T, b *bench) []store.Event {
	t.Helper()
	e, err := b.s.Audit(context.Background(), "", 1000)
	must(t, err)
	return e
}

// TestHellosThatAreRefused are checked before anything is written.
func TestHellosThatAreRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name   string
		change func(*job.Hello)
		want   job.Code
	}{
		{"a later version", func(h *job.Hello) { h.Version++ }, job.CodeProtocol},
		{"version zero", func(h *job.Hello) { h.Version = 0 }, job.CodeProtocol},
		{"no token", func(h *job.Hello) { h.Token = "" }, job.CodeToken},
		{"a token of 301 characters", func(h *job.Hello) { h.Token = strings.Repeat("t", 301) }, job.CodeBadRequest},
		{"half a nonce", func(h *job.Hello) { h.Nonce = h.Nonce[:16] }, job.CodeBadRequest},
		{"a nonce that is no hex", func(h *job.Hello) { h.Nonce = strings.Repeat("g", 32) }, job.CodeBadRequest},
		{"a serial of 301 characters", func(h *job.Hello) { h.Facts.Serial = strings.Repeat("s", 301) }, job.CodeBadRequest},
		{"65 drives", func(h *job.Hello) { h.Drives = make([]job.Drive, 65) }, job.CodeBadRequest},
		{"65 links", func(h *job.Hello) { h.Links = make([]job.Link, 65) }, job.CodeBadRequest},
		{"65 warnings", func(h *job.Hello) { h.Warnings = make([]string, 65) }, job.CodeBadRequest},
		{"a drive's serial of 301 characters", func(h *job.Hello) { h.Drives[0].Serial = strings.Repeat("d", 301) }, job.CodeBadRequest},
	} {
		l := b.laptop("ABC1234")
		l.boot()
		c.change(&l.hello)
		_, err := l.c.Hello(context.Background(), l.hello)
		wantCode(t, c.name, err, c.want)
	}
	if all, _ := b.s.Devices(context.Background()); len(all) != 0 {
		t.Errorf("refused hellos left %d devices", len(all))
	}
}

// TestASealedJobIsForItsAgentOnly: what the server signs can be opened with its key and as a job only.
func TestASealedJobIsForItsAgentOnly(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	n := l.next()
	for name, open := range map[string]func() error{
		"another purpose": func() error { _, err := sign.Open(l.pub, "manifest", n.Job); return err },
		"a flipped bit": func() error {
			e := bytes.Clone(n.Job)
			e[len(e)/2] ^= 1
			_, err := sign.Open(l.pub, "job", e)
			return err
		},
		"cut short": func() error { _, err := sign.Open(l.pub, "job", n.Job[:len(n.Job)-2]); return err },
		"another server's key": func() error {
			other := bytes.Clone(l.pub)
			other[0] ^= 1
			_, err := sign.Open(other, "job", n.Job)
			return err
		},
	} {
		if open() == nil {
			t.Errorf("%s: the job was opened", name)
		}
	}
}

// memoryBoot is a boot bundle of one stage 2.
type memoryBoot string

// Stage2 implements deploy.Boot.
func (b memoryBoot) Stage2(string) (job.File, error) {
	sum := sha256.Sum256([]byte(b))
	return job.File{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}, nil
}

// OpenStage2 implements deploy.Boot.
func (b memoryBoot) OpenStage2(sha256 string) (io.ReadSeekCloser, error) {
	if f, err := b.Stage2(""); err != nil || f.SHA256 != sha256 {
		return nil, fs.ErrNotExist
	}
	return memoryFile{strings.NewReader(string(b))}, nil
}

// Current implements deploy.Boot.
func (b memoryBoot) Current() string { return "bundle-00000000000000aa" }

type memoryFile struct{ *strings.Reader }

// Close implements io.Closer.
func (memoryFile) Close() error { return nil }

// TestRangesOfStage2: whatever part is asked for, the answer is that part of stage 2, all of it, or a refusal;
// and never more bytes than a few times the whole.
func TestRangesOfStage2(t *testing.T) {
	b := newBench(t)
	boot := memoryBoot(strings.Repeat("0123456789", 1000))
	signer, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	must(t, err)
	s, err := deploy.New(deploy.Config{DB: b.db, Signer: signer, Boot: boot, Log: zerolog.Nop()})
	must(t, err)
	f, err := boot.Stage2("")
	must(t, err)
	for _, c := range []struct {
		name, ask string
		status    int
		want      string // the body; "" means any
	}{
		{"all", "", 200, string(boot)},
		{"the first three bytes", "bytes=0-2", 206, "012"},
		{"the last byte", "bytes=-1", 206, "9"},
		{"more than there is", "bytes=9998-20000", 206, "89"},
		{"a suffix longer than the file", "bytes=-99999", 206, string(boot)},
		{"behind the end", "bytes=10000-", 416, ""},
		{"backwards", "bytes=5-2", 416, ""},
		{"another unit", "lines=0-1", 416, ""},
		{"words", "bytes=a-b", 416, ""},
		{"beyond every number", "bytes=0-99999999999999999999999", 416, ""},
		{"the whole file a hundred times", "bytes=" + strings.Repeat("0-,", 99) + "0-", 200, string(boot)},
		{"two thousand single bytes", "bytes=" + strings.Repeat("7-7,", 1999) + "7-7", 206, ""},
	} {
		r := httptest.NewRequest("GET", "/v1/stage2/"+f.SHA256, nil)
		if c.ask != "" {
			r.Header.Set("Range", c.ask)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != c.status || c.want != "" && w.Body.String() != c.want || w.Body.Len() > 50*len(boot) {
			t.Errorf("%s: status %d, %d bytes %.40q; want %d %.40q", c.name, w.Code, w.Body.Len(), w.Body, c.status, c.want)
		}
	}
	for _, other := range []string{strings.Repeat("0", 64), strings.ToUpper(f.SHA256), "..%2f" + f.SHA256} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/stage2/"+other, nil))
		if w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "0123456789") {
			t.Errorf("stage 2 %q: status %d %.60q", other, w.Code, w.Body)
		}
	}
}
