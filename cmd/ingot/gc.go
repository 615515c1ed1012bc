package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/library"
	"ingot/store"
)

func (a *app) gcCommand() *cobra.Command {
	var in store.Sweep
	c := &cobra.Command{Use: "gc", Short: "Remove from the image store what no version needs",
		Long: `Removes contents that no version and no running job names, and the packs in which nothing is needed any more. What is
needed of a pack that is a quarter waste or more moves to a new pack, proven on the way. It may run beside imports,
captures and deployments.
Exit codes: 0 done, 3 the disk had no room to write some packs anew.`,
		Example: "ingot gc --dry-run\ningot gc", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				got, err := stream[store.Work, store.Swept](c.Context(), cl, http.MethodPost, "images/gc", in, a.teller())
				if err != nil {
					return err
				}
				return a.tellSwept(got)
			})
		}}
	c.Flags().BoolVar(&in.DryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return a.outputFlag(c)
}

func (a *app) tellSwept(got store.Swept) error {
	freed, removed := "freed", "removed"
	if got.DryRun {
		freed, removed = "would be freed", "would go"
	}
	err := a.tell(got, fmt.Sprint(got.FreedBytes), func() error {
		_, err := fmt.Fprintf(a.out, "%s %s: %d contents and %d packs %s, %d packs written; %d chunks are needed, %s of others stay in packs that are well used\n",
			size(uint64(max(0, got.FreedBytes))), freed, got.Manifests, got.Packs, removed, got.NewPacks, got.Chunks, size(got.LeftBytes))
		if err == nil && got.Missing > 0 {
			_, err = fmt.Fprintf(a.out, "%d needed chunks cannot be read: see \"ingot check\"\n", got.Missing)
		}
		return err
	})
	if err == nil && got.Postponed > 0 {
		err = partly{fmt.Errorf("the disk has no room to write %d packs anew: make room and run it again", got.Postponed)}
	}
	return err
}

// checkCommand is "ingot check", and "ingot image check" for those who know it by that name.
func (a *app) checkCommand(name string) *cobra.Command {
	var readData, heal bool
	var subset string
	c := &cobra.Command{Use: "check", Short: "Prove records and image store; exit code 3 names damage",
		Long: `Proves every record, and that every pack, content and chunk of every version is there. With --read-data every stored
byte is read and compared by digest. What is damaged is named, with the versions that cannot be deployed because of it;
a damaged chunk is locked away. Importing or capturing the same image again heals it; so does --heal, when another
server holds it.
Exit codes: 0 whole, 1 the check could not be made, 3 damage.`,
		Example: name + " --read-data\n" + name + " --read-data-subset 10%", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			q := url.Values{}
			if readData || subset != "" {
				q.Set("read-data", "1")
			}
			if heal {
				q.Set("heal", "1")
			}
			if subset != "" {
				n, err := percent(subset)
				if err != nil {
					return err
				}
				q.Set("percent", strconv.Itoa(n))
			}
			err := a.with(false, func(cl *client) error {
				got, err := stream[store.Work, store.Checked](c.Context(), cl, http.MethodPost, "images/check?"+q.Encode(), nil, a.teller())
				if err != nil {
					return err
				}
				return a.tellCheck(got)
			})
			if errors.Is(err, store.ErrDamaged) { // so damaged that it could not even be opened: the words name it
				err = partly{err}
			}
			return err
		}}
	c.Flags().BoolVar(&readData, "read-data", false, "read every stored byte and compare digests")
	c.Flags().BoolVar(&heal, "heal", false, "fetch what is lost from the other servers that this one knows, then check again")
	c.Flags().StringVar(&subset, "read-data-subset", "", "likewise, of so many percent of the packs, such as 10%, chosen at random")
	return a.outputFlag(c)
}

func percent(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil || n < 1 || n > 100 {
		return 0, usage{fmt.Errorf("--read-data-subset %q is no share such as 10%%", s)}
	}
	return n, nil
}

func (a *app) tellCheck(got store.Checked) error {
	faults := uint64(len(got.Damage)) + got.More
	err := a.tell(got, fmt.Sprint(faults), func() error {
		for _, d := range got.Damage {
			hit := "no version"
			if len(d.Versions) > 0 {
				hit = strings.Join(d.Versions, ", ")
			}
			fmt.Fprintf(a.out, "damage: %s; hits %s\n", printable(d.What), hit)
			if len(d.Devices) > 0 {
				fmt.Fprintf(a.out, "        on these devices now: %s\n", printable(strings.Join(d.Devices, ", ")))
			}
		}
		if got.Unhealed != nil {
			fmt.Fprintf(a.out, "not healed: %s\n", printable(got.Unhealed.Error()))
		}
		if got.Healed > 0 {
			fmt.Fprintf(a.out, "%d chunks came whole from another server\n", got.Healed)
		}
		_, err := fmt.Fprintf(a.out, "%d records, %d versions, %d of %d packs and %s read, %d chunks, %d faults\n",
			got.Records, got.Versions, got.PacksRead, got.Packs, size(got.Bytes), got.Chunks, faults)
		return err
	})
	if err == nil && faults > 0 {
		err = partly{fmt.Errorf("records or image store are damaged")}
	}
	return err
}

// scrub is the daemon's reading of all packs in the background.
func (c config) scrub(l *library.Library) func(context.Context) error {
	rate := c.Images.Scrub
	if rate == 0 {
		rate = 8
	}
	return func(ctx context.Context) error {
		if rate < 0 {
			<-ctx.Done()
			return nil
		}
		return l.Scrub(ctx, rate<<20)
	}
}
