package chunkstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

func TestSpansAreReadStrictly(t *testing.T) {
	long := strings.Repeat("1-1,", 3000)
	many := make([]string, chunkstore.MaxSpans+1)
	for i := range many {
		many[i] = fmt.Sprintf("%d-%d", 2*i, 2*i)
	}
	for name, text := range map[string]string{
		"nothing":                        "",
		"a single number":                "5",
		"an open end":                    "5-",
		"an open start":                  "-5",
		"a sign":                         "+1-5",
		"a sign inside":                  "1-+5",
		"a space":                        "1- 5",
		"hexadecimal":                    "0x1-0x5",
		"more than 2^64":                 "1-99999999999999999999999",
		"backwards":                      "5-1",
		"behind the last extent":         "0-100",
		"overlapping":                    "1-5,5-9",
		"descending":                     "6-9,1-5",
		"an empty span":                  "1-5,,7-9",
		"a trailing comma":               "1-5,",
		"three ends":                     "1-5-9",
		"more than 8 KiB":                long,
		"more spans than the bound":      strings.Join(many, ","),
		"a null byte":                    "1-5\x00",
		"numbers of another alphabet":    "١-٥",
		"a percent sign":                 "1%2d5",
		"underscores that Go would take": "1_0-2_0",
	} {
		count := uint64(100)
		if name == "more spans than the bound" {
			count = 1 << 20
		}
		if sp, err := chunkstore.ParseSpans(text, count); err == nil {
			t.Errorf("%s: ParseSpans = %v; want an error", name, sp)
		}
	}
	if _, err := chunkstore.ParseSpans(fmt.Sprintf("0-%d", chunkstore.MaxStream), 1<<28); err == nil {
		t.Error("ParseSpans took more extents than the bound")
	}
	if sp, err := chunkstore.ParseSpans("0-0,2-7,9-99", 100); err != nil || len(sp) != 3 || sp[2] != (chunkstore.Span{First: 9, Last: 99}) {
		t.Errorf("ParseSpans of a good query = %v, %v", sp, err)
	}
}

// rec makes one record of a chunk stream.
func rec(n uint64, body string) string {
	b := binary.LittleEndian.AppendUint64(nil, n)
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(body)))) + body
}

func endOf(count uint64) string {
	return rec(1<<64-1, string(binary.LittleEndian.AppendUint64(nil, count)))
}

func TestAStreamIsBelievedOnlyWhenItIsWhole(t *testing.T) {
	const magic = "INGOTCS1"
	for _, c := range []struct {
		name, body string
		code       job.Code
	}{
		{"nothing", "", job.CodeStream},
		{"another beginning", "HTTP/1.1 200 OK\r\n\r\n", job.CodeStream},
		{"no end record", magic + rec(3, "frame"), job.CodeStream},
		{"an end in the middle of a head", magic + rec(3, "frame")[:7], job.CodeStream},
		{"an end in the middle of a frame", magic + rec(3, "frame")[:14], job.CodeStream},
		{"an end that counts less", magic + rec(3, "frame") + endOf(0), job.CodeStream},
		{"an end that counts more", magic + rec(3, "frame") + endOf(2), job.CodeStream},
		{"an end of another length", magic + rec(1<<64-1, "1"), job.CodeStream},
		{"bytes behind the end", magic + endOf(0) + "x", job.CodeStream},
		{"an extent that was not asked for", magic + rec(11, "frame") + endOf(1), job.CodeStream},
		{"an extent between the spans", magic + rec(6, "frame") + endOf(1), job.CodeStream},
		{"an extent twice", magic + rec(3, "frame") + rec(3, "frame") + endOf(2), job.CodeStream},
		{"extents out of order", magic + rec(4, "frame") + rec(3, "frame") + endOf(2), job.CodeStream},
		{"a frame of no bytes", magic + rec(3, "") + endOf(1), job.CodeStream},
		{"a frame of 4 GiB", magic + rec(3, "")[:8] + "\xff\xff\xff\xff", job.CodeStream},
		{"the sender's error", magic + rec(3, "frame") + rec(1<<64-2, `{"code":"E301","fact":"Extent 4."}`), job.CodeChunk},
		{"an error that is no JSON", magic + rec(1<<64-2, `oops`), job.CodeStream},
		{"an error of a megabyte", magic + rec(1<<64-2, strings.Repeat("x", 1<<20)), job.CodeStream},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := fetchBody(t.Context(), t, c.body)
			if f := job.FaultOf(err); err == nil || f.Code != c.code {
				t.Errorf("Fetch = %v; want code %s", err, c.code)
			}
		})
	}
	if err := fetchBody(t.Context(), t, magic+rec(3, "frame")+rec(8, "frame")+endOf(2)); err != nil {
		t.Errorf("Fetch of a whole stream = %v", err)
	}
}

// fetchBody lets a client ask for extents 2-5 and 8-10 from a server that answers with body.
func fetchBody(ctx context.Context, t testing.TB, body string) error {
	c := &chunkstore.Client{Base: "http://daemon", HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
	})}}
	_, err := c.Fetch(ctx, imaging.Digest{1}, []chunkstore.Span{{First: 2, Last: 5}, {First: 8, Last: 10}}, func(n uint64, frame []byte) error {
		if n < 2 || n > 10 || len(frame) == 0 {
			t.Fatalf("extent %d with %d bytes came through", n, len(frame))
		}
		return nil
	})
	return err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzStream(f *testing.F) {
	f.Add([]byte("INGOTCS1" + rec(3, "frame") + endOf(1)))
	f.Add([]byte("INGOTCS1" + rec(1<<64-2, `{"code":"E301"}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := fetchBody(context.Background(), t, string(b))
		if err == nil && !bytes.Contains(b, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\x08\x00\x00\x00")) {
			t.Fatal("a stream without an end record was believed")
		}
	})
}

func FuzzSpans(f *testing.F) {
	f.Add("0-5,7-9", uint64(10))
	f.Add("1-1", uint64(1))
	f.Fuzz(func(t *testing.T, text string, count uint64) {
		spans, err := chunkstore.ParseSpans(text, count)
		if err != nil {
			return
		}
		next := uint64(0)
		for i, s := range spans {
			if s.First > s.Last || s.Last >= count || (i > 0 && s.First < next) {
				t.Fatalf("ParseSpans(%q, %d) = %v", text, count, spans)
			}
			next = s.Last + 1
		}
	})
}

func TestHostileRequestsAreAnsweredInWords(t *testing.T) {
	s := openStore(t, t.TempDir())
	d, _ := importDisk(t, s, diskBytes(20, 50))
	c := serve(t, s)
	for _, u := range []struct {
		name, path string
		status     int
	}{
		{"an unknown manifest", "/v1/manifests/" + imaging.Sum(nil).String(), 404},
		{"a manifest that is no digest", "/v1/manifests/..%2f..%2fetc%2fpasswd", 404},
		{"a manifest in upper case hex", "/v1/manifests/" + strings.ToUpper(d.String()[:10]), 404},
		{"chunks of an unknown manifest", "/v1/chunks/" + imaging.Sum(nil).String() + "?extents=0-1", 404},
		{"chunks without extents", "/v1/chunks/" + d.String(), 400},
		{"chunks with another query", "/v1/chunks/" + d.String() + "?all=1", 400},
		{"chunks with two queries", "/v1/chunks/" + d.String() + "?extents=0-0&extents=1-1", 400},
		{"chunks behind the end", "/v1/chunks/" + d.String() + "?extents=0-99999", 400},
		{"a query of 9 KiB", "/v1/chunks/" + d.String() + "?extents=" + strings.Repeat("0", 9<<10), 400},
	} {
		t.Run(u.name, func(t *testing.T) {
			resp, err := c.HTTP.Get(c.Base + u.path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != u.status || !bytes.Contains(b, []byte(`"code"`)) {
				t.Errorf("GET %s = %d %s; want %d and a fault", u.path, resp.StatusCode, b, u.status)
			}
		})
	}
}

func TestADamagedChunkEndsTheStreamWithItsName(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d, _ := importDisk(t, s, diskBytes(21, 800))
	c := serve(t, s)
	m, err := c.OpenManifest(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	hit := flipChunk(t, files(t, dir, "packs", ".pack")[0], m, m.Count()/2)
	var sent uint64
	_, err = c.Fetch(t.Context(), d, all(m), func(uint64, []byte) error { sent++; return nil })
	if f := job.FaultOf(err); f.Code != job.CodeChunk || !strings.Contains(f.Fact, "pack") {
		t.Errorf("Fetch = %v; want %s with the pack", err, job.CodeChunk)
	}
	if !strings.Contains(job.FaultOf(err).Fact, hit.Short()) || sent == 0 || sent >= m.Header().DataExtents {
		t.Errorf("Fetch = %v after %d extents; want chunk %s named behind some", err, sent, hit.Short())
	}
}

// flipChunk damages the frame of the first chunk, from extent n on, that no earlier extent has.
func flipChunk(t *testing.T, pack string, m *imaging.Manifest, n uint64) imaging.Digest {
	t.Helper()
	seen := map[imaging.Digest]bool{}
	for e, err := range m.All() {
		if err != nil {
			t.Fatal(err)
		}
		if e.N >= n && e.Kind == imaging.Data && !seen[e.Digest] {
			for _, h := range packHeads(t, pack) {
				if h.digest == e.Digest {
					flip(t, pack, h.end-3, 4)
					return e.Digest
				}
			}
		}
		seen[e.Digest] = true
	}
	t.Fatal("no chunk to damage")
	return imaging.Digest{}
}

func TestAManifestThatLiesIsRefusedByTheClient(t *testing.T) {
	s := openStore(t, t.TempDir())
	d, _ := importDisk(t, s, diskBytes(22, 200))
	other, _ := importDisk(t, s, diskBytes(23, 200))
	for name, h := range map[string]http.HandlerFunc{
		"another manifest": func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/" + other.String()
			s.ManifestHandler().ServeHTTP(w, r)
		},
		"no ranges":             func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 100)) },
		"another range":         ranges("bytes 5-10/100", "123456"),
		"a range of no size":    ranges("bytes 0-5/*", "123456"),
		"a body cut short":      ranges("bytes 0-99/100", "123456"),
		"more than its range":   ranges("bytes 0-5/6", "1234567890"),
		"a range of 2^63 bytes": ranges("bytes 0-9223372036854775806/9223372036854775807", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			c := &chunkstore.Client{HTTP: srv.Client(), Base: srv.URL}
			_, err := c.OpenManifest(t.Context(), d)
			if f := job.FaultOf(err); err == nil || f.Code != job.CodeManifest && f.Code != job.CodeStream {
				t.Errorf("OpenManifest = %v; want %s or %s", err, job.CodeManifest, job.CodeStream)
			}
		})
	}
}

func ranges(content, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", content)
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, body)
	}
}

func TestAnErrorOfTheTakerEndsTheFetch(t *testing.T) {
	s := openStore(t, t.TempDir())
	d, _ := importDisk(t, s, diskBytes(24, 300))
	c := serve(t, s)
	m, err := c.OpenManifest(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("the drive is full")
	calls := 0
	if _, err := c.Fetch(t.Context(), d, all(m), func(uint64, []byte) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Fetch = %v after %d calls; want the taker's error after one", err, calls)
	}
}

func TestTemporaryFilesOfAKilledProgramGoAtOpen(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir).Close()
	for _, sub := range []string{"packs", "manifests", "index"} {
		if err := os.WriteFile(dir+"/"+sub+"/tmp-123", []byte("half a file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir)
	for _, sub := range []string{"packs", "manifests", "index"} {
		if left := files(t, dir, sub, ""); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	}
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
		t.Errorf("Check = %v", r.Problems)
	}
}
