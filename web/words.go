package web

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// faultWords is a fault as a page says it.
type faultWords struct {
	Sentence, Fact, Next string
	Code                 job.Code
}

// String is all of it in one line.
func (w *faultWords) String() string {
	return strings.Join(strings.Fields(w.Sentence+" "+w.Fact+" "+w.Next+" ("+string(w.Code)+")"), " ")
}

func wordsOf(f *job.Fault) *faultWords {
	if f == nil {
		return nil
	}
	w := f.Code.OnPage()
	return &faultWords{Sentence: w.Sentence, Fact: f.Fact, Next: w.Next, Code: f.Code}
}

// stateLook gives a device's state its icon and colour.
var stateLook = map[store.DeviceState]job.Colour{store.New: job.Yellow, store.Ready: job.Grey, store.Deploying: job.Blue, store.Deployed: job.Green, store.Failed: job.Red,
	store.Returned: job.Grey, store.Wiping: job.Blue, store.Disposed: job.Grey, store.Lost: job.Red, store.Quarantined: job.Yellow}

// stateWord is how a device stands, in the words of the board where it is at work.
type stateWord struct {
	Word, Icon string
	Colour     job.Colour
}

func wordOfDevice(d store.DeviceView) stateWord {
	w := stateWord{Word: string(d.State), Colour: stateLook[d.State]}
	switch {
	case d.State == store.Lost && !d.Alarm.IsZero():
		w.Word = "lost, started here"
	case d.State == store.Quarantined:
		w.Word = job.WordWhich
	case d.Code != "":
		w.Word = job.WordWaiting
	case d.Job != nil:
		return wordOfJob(*d.Job)
	case d.Promised():
		w.Word = "ready, never seen"
	}
	w.Icon = icons[cmp.Or(w.Colour, job.Grey)]
	return w
}

func wordOfJob(j store.JobView) stateWord {
	l := j.Kind.Look(j.State)
	return stateWord{Word: l.Word, Colour: l.Colour, Icon: icons[l.Colour]}
}

var versionLook = map[store.VersionState]job.Colour{store.Draft: job.Yellow, store.Released: job.Green, store.Retired: job.Grey, store.Withdrawn: job.Red}

func wordOfVersion(v store.Version) stateWord {
	c := versionLook[v.State]
	if v.Deleted || v.Kind == store.Backup {
		c = job.Grey
	}
	return stateWord{Word: v.Word(), Colour: c, Icon: icons[c]}
}

// pageFuncs are what templates may call.
var pageFuncs = template.FuncMap{
	"words":  func(f *job.Fault) string { return wordsOf(f).String() },
	"memory": memoryWord, "legsize": legSize, "changes": changesOf, "asset": assetPath, "key": formKey, "when": whenWord, "day": dayWord, "ago": func(t time.Time) string { return agoWord(time.Now(), t) }, "size": sizeWord,
	"device": wordOfDevice, "jobword": wordOfJob, "version": wordOfVersion, "join": func(s []string) string { return strings.Join(s, ", ") },
	"rate": job.RateWord, "plural": plural,
	"percent": percentOf, "add": func(a, b int) int { return a + b },
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func percentOf(done, total uint64) int {
	if total == 0 {
		return 0
	}
	return int(min(done, total) * 100 / total)
}

func whenWord(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

func dayWord(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02")
}

// agoWord is a time that has passed as people say it.
func agoWord(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	switch d := now.Sub(then); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// sizeWord is a number of bytes as drives are labelled.
func sizeWord(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, u := float64(n), 0
	for f >= 1000 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}

// memoryWord is installed memory as it is sold.
func memoryWord(n uint64) string {
	if n == 0 {
		return "not known"
	}
	return fmt.Sprintf("%.0f GB", float64(n)/(1<<30))
}
