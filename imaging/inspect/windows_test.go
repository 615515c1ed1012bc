package inspect_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"ingot/imaging/inspect"
	"ingot/imaging/inspect/hive/hivetest"
)

// ntfs makes a real volume and fills it through ntfs-3g.
func ntfs(t testing.TB, texts map[string]string) file {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("an NTFS cannot be mounted here: %v", err)
	} else {
		f.Close()
	}
	path, dir := filepath.Join(t.TempDir(), "volume"), t.TempDir()
	if err := os.WriteFile(path, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "ntfs-3g", "mkfs.ntfs", "-q", "-F", "-f", path)
	cmd := exec.Command("ntfs-3g", "-o", "no_detach", path, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	outside, _ := os.Stat(filepath.Dir(dir))
	for tries := 0; ; tries++ {
		if in, err := os.Stat(dir); err == nil && in.Sys().(*syscall.Stat_t).Dev != outside.Sys().(*syscall.Stat_t).Dev {
			break
		}
		if tries == 1500 {
			t.Fatal("ntfs-3g did not mount")
		}
		time.Sleep(20 * time.Millisecond)
	}
	for name, text := range texts {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	for tries := 0; exec.Command("umount", dir).Run() != nil && tries < 100; tries++ {
		time.Sleep(50 * time.Millisecond)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("ntfs-3g ended with %v", err)
	}
	return openFile(t, path)
}

const h = `HKEY_LOCAL_MACHINE\H\`

// key writes a key of a .reg file.
func key(path string, values ...string) string {
	return "[" + h + path + "]\n" + strings.Join(values, "\n") + "\n\n"
}

func fileTime(t time.Time) (high, low uint32) {
	n := uint64(t.Unix()+11644473600) * 10_000_000
	return uint32(n >> 32), uint32(n)
}

// software is the hive SOFTWARE of a Windows 11 that calls itself 10.
func software(more string) string {
	high, low := fileTime(time.Date(2026, 10, 14, 3, 0, 0, 0, time.UTC))
	older, oldLow := fileTime(time.Date(2026, 9, 9, 3, 0, 0, 0, time.UTC))
	const cbs = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\`
	pkg := func(name string, state, high, low uint32) string {
		return key(cbs+name, fmt.Sprintf("\"CurrentState\"=dword:%08x", state), fmt.Sprintf("\"InstallTimeHigh\"=dword:%08x", high), fmt.Sprintf("\"InstallTimeLow\"=dword:%08x", low))
	}
	later, laterLow := fileTime(time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC))
	return key(`Microsoft\Windows NT\CurrentVersion`, `"ProductName"="Windows 10 Enterprise"`, `"EditionID"="Enterprise"`, `"DisplayVersion"="24H2"`, `"CurrentBuild"="26100"`, `"UBR"=dword:00000fdd`) +
		pkg("Package_for_RollupFix~31bf~amd64~~26100.4061.1.7", 112, high, low) + pkg("Package_for_RollupFix~31bf~amd64~~26100.3000.1.1", 80, later, laterLow) +
		pkg("Package_for_RollupFix~31bf~amd64~~26100.2000.1.1", 112, older, oldLow) + pkg("Package_for_KB1~31bf", 112, later, laterLow) +
		key(`Microsoft\Windows\CurrentVersion\Uninstall\7-Zip`, `"DisplayName"="7-Zip 24.09 (x64)"`, `"DisplayVersion"="24.09"`, `"Publisher"="Igor Pavlov"`) +
		key(`Microsoft\Windows\CurrentVersion\Uninstall\KB9`, `"DisplayName"="An update"`, `"ParentKeyName"="7-Zip"`) + key(`Microsoft\Windows\CurrentVersion\Uninstall\Nameless`, `"DisplayVersion"="1"`) +
		key(`WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\{A}`, `"DisplayName"="Old Tool"`, `"DisplayVersion"="1.2"`) +
		key(`Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\Microsoft.WindowsCalculator_11.2502.2.0_x64__8wekyb3d8bbwe`) +
		key(`Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\odd`) + more
}

func system(more string) string {
	return key("Select", `"Current"=dword:00000002`) + key(`ControlSet001\Services\Tcpip\Parameters`, `"NV Domain"="wrong.set"`) +
		key(`ControlSet002\Control\Session Manager\Environment`, `"PROCESSOR_ARCHITECTURE"="AMD64"`) + more
}

// windows makes a volume with these hives and files.
func windows(t testing.TB, soft, sys, sec string, texts map[string]string) file {
	t.Helper()
	all := map[string]string{}
	for name, reg := range map[string]string{"SOFTWARE": soft, "SYSTEM": sys, "SECURITY": sec} {
		all["Windows/System32/config/"+name] = string(hivetest.Merge(t, reg))
	}
	for k, v := range texts {
		all[k] = v
	}
	return ntfs(t, all)
}

func utf16File(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func TestAGeneralisedWindowsHasAGreenChecklist(t *testing.T) {
	const state = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
	r := look(t, windows(t, software(key(`Microsoft\Windows\CurrentVersion\Setup\State`, `"ImageState"="`+state+`"`)), system(""), "",
		map[string]string{"Windows/Setup/State/State.ini": "[State]\r\nImageState=" + state + "\r\n", "Users/Public/desktop.ini": "x", "Users/Default/NTUSER.DAT": "x"}))
	for _, f := range r.Findings {
		if f.Severity != inspect.Green {
			t.Errorf("%+v; want it green", f)
		}
	}
	want := inspect.System{Family: "windows", ID: "windows", Name: "Windows 11 Enterprise", Edition: "Enterprise", Version: "24H2", Build: "26100.4061", Arch: "amd64"}
	if r.System != want {
		t.Errorf("system %+v; want %+v", r.System, want)
	}
	if day := time.Date(2026, 10, 14, 3, 0, 0, 0, time.UTC); !r.Patched.Equal(day) {
		t.Errorf("patched %v; want the newest cumulative update that is installed, %v", r.Patched, day)
	}
	if got := fmt.Sprint(r.Packages); got != "[{7-Zip 24.09 (x64) 24.09 amd64 windows Igor Pavlov} {Microsoft.WindowsCalculator 11.2502.2.0 x64 appx } {Old Tool 1.2 x86 windows }]" {
		t.Errorf("packages %s", got)
	}
}

const answers = `<?xml version="1.0" encoding="utf-16"?><unattend xmlns="urn:schemas-microsoft-com:unattend"><settings pass="oobeSystem"><component name="x">
<UserAccounts><AdministratorPassword><Value>%s</Value><PlainText>true</PlainText></AdministratorPassword></UserAccounts></component></settings></unattend>`

func TestAWindowsInUseIsFoundOut(t *testing.T) {
	dirty := []byte(hivetest.Merge(t, software(key(`Microsoft\Windows\CurrentVersion\Setup\State`, `"ImageState"="IMAGE_STATE_COMPLETE"`)+
		key(`Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1001`, `"ProfileImagePath"="C:\\Users\\anna"`)+key(`Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-18`, `"ProfileImagePath"="C:\\Windows\\system32\\config\\systemprofile"`)+
		key(`Microsoft\Enrollments\1`, `"ProviderID"="MS DM Server"`, `"UPN"="anna@example.org"`)+key(`Microsoft\Enrollments\2`, `"ProviderID"="empty"`))))
	dirty[4]++
	d := windows(t, "", system(key(`ControlSet002\Services\Tcpip\Parameters`, `"NV Domain"="corp.example"`)+key("Setup", `"UnattendFile"="C:\\x.xml"`)), key(`Policy\Secrets\$MACHINE.ACC\CurrVal`),
		map[string]string{"Windows/System32/config/SOFTWARE": string(hivetest.Seal(dirty)), "Windows/Setup/State/State.ini": utf16File("[State]\r\nImageState=IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE\r\n"),
			"Windows/Panther/UNATTEND.xml": utf16File(fmt.Sprintf(answers, "hunter2")), "Windows/System32/Sysprep/unattend.xml": fmt.Sprintf(strings.Replace(answers, "utf-16", "utf-8", 1), "*SENSITIVE*DATA*DELETED*"),
			"autounattend.xml": "<broken", "Users/anna/x": "x", "Users/bo/x": "x", "Windows/SMSCFG.ini": "x", "ProgramData/Microsoft/Wlansvc/Profiles/Interfaces/{1}/{2}.xml": "x"})
	r := look(t, d)
	for check, want := range map[string]struct {
		s     inspect.Severity
		words string
	}{
		"windows-hives": {inspect.Yellow, "(SOFTWARE)"}, "windows-setup-state": {inspect.Red, "sysprep"}, "windows-domain": {inspect.Red, "corp.example"}, "windows-mdm": {inspect.Red, ": MS DM Server."},
		"windows-users": {inspect.Yellow, ": anna, bo."}, "windows-agents": {inspect.Red, "Configuration Manager"}, "windows-wifi": {inspect.Yellow, "{2}.xml"},
		"windows-answer-files": {inspect.Red, "holds a password (AdministratorPassword)"},
	} {
		if got, words := worst(r, check); got != want.s || !strings.Contains(words, want.words) {
			t.Errorf("%s = %s: %s; want %s with %q", check, got, words, want.s, want.words)
		}
	}
	_, words := worst(r, "windows-answer-files")
	if strings.Count(words, "holds a password (") != 1 || !strings.Contains(words, "Sysprep/unattend.xml is in the image") || !strings.Contains(words, "/autounattend.xml cannot be read") || !strings.Contains(words, "x.xml, which is used before") {
		t.Errorf("answer files: %s", words)
	}
}

func TestHivesThatCannotBeReadAreTold(t *testing.T) {
	r := look(t, ntfs(t, map[string]string{"Windows/System32/config/SOFTWARE": "regf and no more", "Windows/System32/config/SYSTEM": strings.Repeat("x", 9000)}))
	if s, words := worst(r, "look-inside"); s != inspect.Yellow || !strings.Contains(words, "config/SOFTWARE: the registry hive is damaged") {
		t.Errorf("look-inside = %s: %s", s, words)
	}
	if s, _ := worst(r, "windows-setup-state"); s != inspect.Yellow {
		t.Errorf("setup state = %s; want yellow: nothing tells it", s)
	}
}

func TestPasswordsOfAnswerFilesAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		xml  string
		want string
	}{
		"an administrator's": {fmt.Sprintf(answers, "x"), "AdministratorPassword"},
		"one that was used":  {fmt.Sprintf(answers, "*SENSITIVE*DATA*DELETED*"), ""},
		"an empty one":       {fmt.Sprintf(answers, " "), ""},
		"a joiner's":         {"<Identification><Credentials><Domain>d</Domain><Password>p</Password></Credentials></Identification>", "Password"},
		"a joining blob":     {"<Provisioning><AccountData>b</AccountData></Provisioning>", "AccountData"},
		"none":               {"<a><b>text</b></a>", ""},
	} {
		got, err := inspect.Secrets([]byte(c.xml))
		if err != nil || strings.Join(got, ",") != c.want {
			t.Errorf("%s: %v, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := inspect.Secrets(bytes.Repeat([]byte("<a>"), 100_000)); err == nil {
		t.Error("a file of folded elements was read whole")
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(answers, "x")))
	f.Add([]byte(utf16File("[State]\nImageState=x\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, _ := inspect.Secrets(b)
		if len(found) > 20 || len(inspect.ParseINI(b)) > 1000 {
			t.Error("beyond the limits")
		}
	})
}
