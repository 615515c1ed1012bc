package cert

import (
	"fmt"
	"strings"
	"time"

	"ingot/imaging/wipe"
)

// The words below are for whoever reads a record on paper or on a page. The signed file keeps what it says as it is.

// mediaWords are the classes of drives in the words of whoever has one in his hand.
var mediaWords = map[wipe.Class]string{wipe.NVMe: "NVMe", wipe.SATAFlash: "SATA, flash", wipe.SATADisk: "SATA, magnetic", wipe.EMMC: "eMMC", wipe.UFS: "UFS", wipe.Unknown: "of an unknown kind"}

// mediaWord is the kind of a drive; how it is connected is said where that is not the same.
func mediaWord(d Drive) string {
	word, known := mediaWords[wipe.Class(d.Media)]
	if !known {
		word = d.Media
	}
	if d.Transport == "" || strings.HasPrefix(strings.ToLower(word), strings.ToLower(d.Transport)) {
		return word
	}
	return strings.TrimPrefix(word+", over "+d.Transport, ", over ")
}

// timeWord is a time without the letters that machines put into it.
func timeWord(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// bytesWord is a size as people say it, and as it is.
func bytesWord(n uint64) string {
	f, unit := float64(n), ""
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, u
	}
	if unit == "" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s: %d bytes", f, unit, n)
}

func sizeWord(d Drive) string {
	if d.SizeBytes == 0 {
		return ""
	}
	s := bytesWord(d.SizeBytes)
	if d.RealBytes > d.SizeBytes {
		s += fmt.Sprintf(", %d with hidden sectors", d.RealBytes)
	}
	return s
}
