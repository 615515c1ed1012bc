package imaging

import "fmt"

// Growable is the one kind of file system that Ingot can grow.
const Growable = "ext4"

// GrowRefusal says in one sentence why partition n, with the swap partition swap behind it, cannot take the room of
// a drive larger than the imaged disk; "" when it can, or when n is 0. swap is 0 for none: it alone may be moved.
func (h Header) GrowRefusal(n, swap int) string {
	if n == 0 {
		return ""
	}
	p, ok := h.Partition(n)
	switch {
	case !ok:
		return fmt.Sprintf("There is no partition %d to grow.", n)
	case h.Table != "gpt":
		return fmt.Sprintf("Partition %d cannot grow: the image has no GPT.", n)
	case p.FileSystem == "":
		return fmt.Sprintf("Partition %d holds no file system that is known, and only %s can grow.", n, Growable)
	case p.FileSystem != Growable:
		return fmt.Sprintf("Partition %d holds %s, and only %s can grow.", n, p.FileSystem, Growable)
	}
	for _, q := range h.Partitions {
		if q.FirstLBA > p.LastLBA && q.Number != swap {
			return fmt.Sprintf("Partition %d lies behind partition %d, which is to grow.", q.Number, n)
		}
	}
	return ""
}
