package supply_test

import (
	"os"
	"path/filepath"
	"testing"

	"ingot/cmd/ingot-agent/internal/supply"
	"ingot/imaging/job"
)

func TestReadTellsWhatFeedsTheLaptop(t *testing.T) {
	type attrs = map[string]string
	ac := func(online string) attrs { return attrs{"type": "Mains", "online": online} }
	for name, c := range map[string]struct {
		tree map[string]attrs
		want job.Power
	}{
		"a desktop":                    {nil, job.Power{}},
		"a desktop with a mouse":       {map[string]attrs{"hidpp": {"type": "Battery", "scope": "Device", "capacity": "5"}}, job.Power{}},
		"an empty slot":                {map[string]attrs{"BAT0": {"type": "Battery", "present": "0"}, "AC": ac("1")}, job.Power{Mains: true}},
		"on mains":                     {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "12", "status": "Charging"}, "AC": ac("1")}, job.Power{Battery: true, Percent: 12, Mains: true}},
		"off mains":                    {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "12", "status": "Discharging"}, "AC": ac("0")}, job.Power{Battery: true, Percent: 12}},
		"charging without an adapter":  {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "3", "status": "Charging"}}, job.Power{Battery: true, Percent: 3, Mains: true}},
		"fed by USB-C":                 {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "3", "status": "Unknown"}, "ucsi": {"type": "USB", "online": "1"}}, job.Power{Battery: true, Percent: 3, Mains: true}},
		"charge not told":              {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "status": "Discharging"}}, job.Power{Battery: true, Percent: -1}},
		"charge nonsense":              {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "900"}}, job.Power{Battery: true, Percent: -1}},
		"empty to the last":            {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "0"}}, job.Power{Battery: true}},
		"two batteries count together": {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "0", "energy_full": "30000000"}, "BAT1": {"type": "Battery", "present": "1", "capacity": "80", "energy_full": "30000000"}}, job.Power{Battery: true, Percent: 40}},
		"one of two tells no size":     {map[string]attrs{"BAT0": {"type": "Battery", "present": "1", "capacity": "7", "energy_full": "30000000"}, "BAT1": {"type": "Battery", "present": "1", "capacity": "50"}}, job.Power{Battery: true, Percent: 50}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for supply, attrs := range c.tree {
				for attr, value := range attrs {
					path := filepath.Join(dir, supply, attr)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := supply.Read(dir); got != c.want {
				t.Errorf("Read = %+v; want %+v", got, c.want)
			}
		})
	}
	if got := supply.Read(filepath.Join(t.TempDir(), "none")); got != (job.Power{}) {
		t.Errorf("Read of no folder = %+v; want no battery", got)
	}
}
