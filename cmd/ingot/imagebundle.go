package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// signOld signs, at the first start of an Ingot that signs versions, those that are there, and says which.
func signOld(db *store.DB, log zerolog.Logger) error {
	var signed []store.Version
	err := db.Update(func(tx *store.Tx) (err error) { signed, err = tx.SignOld(); return err })
	if job.FaultOf(err).Code == job.CodeFull {
		return nil // a full disk keeps no daemon from starting; the next start signs them
	}
	for _, v := range signed {
		log.Warn().Stringer("version", v.Ref()).Msg("a version that was recorded before Ingot signed versions is signed now")
	}
	return err
}

// orBundle lets "image import" take a bundle instead of a disk file.
func (a *app) orBundle(c *cobra.Command) *cobra.Command {
	var in store.BundleImport
	disk, file := c.RunE, ""
	c.Args = args(cobra.MaximumNArgs(1))
	c.Example += "\ningot image import --bundle sales.bundle"
	c.RunE = func(c *cobra.Command, given []string) (err error) {
		if file == "" {
			if err := cobra.ExactArgs(1)(c, given); err != nil {
				return usage{err}
			}
			return disk(c, given)
		}
		if len(given) > 0 {
			return usage{errors.New("give either a disk file or --bundle FILE")}
		}
		if in.File, err = filepath.Abs(file); err != nil {
			return usage{err}
		}
		if in.Image, err = c.Flags().GetString("image"); err != nil {
			return err
		}
		if f := c.Flags().Lookup("release"); f != nil {
			in.Release = f.Value.String() == "true"
		}
		return a.with(true, func(cl *client) error { return a.importBundle(c, cl, in) })
	}
	c.Flags().StringVar(&file, "bundle", "", "take a bundle file; it brings name, label and note, and becomes a draft")
	c.Flags().StringVar(&in.Trust, "trust", "", "with --bundle: the fingerprint of its key, as \"ingot image keys\" prints it on the server that it comes from")
	return c
}

func (a *app) importBundle(c *cobra.Command, cl *client, in store.BundleImport) error {
	cl, done, err := bringing(cl, in.File)
	if err != nil {
		return err
	}
	defer done()
	got, err := stream[store.Work, store.Imported](c.Context(), cl, http.MethodPost, "images/bundle/import", in, a.teller())
	if err != nil {
		return err
	}
	return a.showImported(got)
}

func (a *app) showImported(got store.Imported) error {
	if got.Known {
		fmt.Fprintf(a.err, "%s holds exactly this already; nothing was added, and its label and note stay\n", got.Version.Ref())
	}
	if err := a.showVersions([]store.Version{got.Version}); err != nil {
		return err
	}
	return a.unreleased(got)
}

// bringing opens a file with the rights of whoever asks, and gives a client that hands it over.
func bringing(cl *client, path string) (*client, func(), error) {
	if cl.socket == "" {
		return cl, func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil, job.Faultf(job.CodeNotFound, "No file %s.", path)
	case err != nil:
		return nil, nil, job.Faultf(job.CodePolicy, "The file %s may not be read.", path)
	}
	with := cl.with(f)
	return with, func() { with.close(); f.Close() }, nil
}

// toBundle lets "image export" write a bundle instead of a disk file.
func (a *app) toBundle(c *cobra.Command) *cobra.Command {
	disk, file := c.RunE, ""
	c.Args = args(cobra.RangeArgs(1, 2))
	c.Example += "\ningot image export sales@3 --bundle sales.bundle"
	c.RunE = func(c *cobra.Command, given []string) error {
		if file == "" {
			if err := cobra.ExactArgs(2)(c, given); err != nil {
				return usage{err}
			}
			return disk(c, given)
		}
		path, err := filepath.Abs(file)
		if err != nil || len(given) != 1 {
			return usage{errors.Join(err, errors.New("with --bundle FILE, name the version and no other file"))}
		}
		return a.with(false, func(cl *client) error {
			got, err := bundleFile(c.Context(), cl, store.BundleExport{Image: given[0], File: path}, a.teller())
			if err != nil {
				return err
			}
			return a.tell(got, got.Version.Ref().String(), a.sayf("%s: %d chunks, %s, signed by %s", got.Version.Ref(), got.Chunks, size(got.Bytes), got.Key))
		})
	}
	c.Flags().StringVar(&file, "bundle", "", "write one signed file that another Ingot imports, and that zstd alone can read")
	return c
}

// bundleFile asks for a bundle in a file that is made here, and gives it its name when it is proven.
func bundleFile(ctx context.Context, cl *client, e store.BundleExport, tell func(store.Work)) (store.Bundled, error) {
	const path = "images/bundle/export"
	if cl.socket == "" {
		return stream[store.Work, store.Bundled](ctx, cl, http.MethodPost, path, e, tell)
	}
	f, err := library.NewFile(e.File)
	if err != nil {
		return store.Bundled{}, err
	}
	defer os.Remove(f.Name()) // after it was named there is nothing left to remove
	defer f.Close()
	bringing := cl.with(f)
	defer bringing.close()
	out, err := stream[store.Work, store.Bundled](ctx, bringing, http.MethodPost, path, e, tell)
	if err != nil {
		return out, err
	}
	return out, library.NameNew(f.Name(), e.File)
}

func (a *app) imageKeys() *cobra.Command {
	var forget string
	c := &cobra.Command{Use: "keys", Short: "Show the fingerprint of this server's image key, and whose signed images are taken", Args: args(cobra.NoArgs),
		Example: "ingot image keys\ningot image keys --forget sha256:0123...",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				if forget != "" {
					if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "image-keys/"+forget, nil); err != nil {
						return err
					}
				}
				got, err := get[store.ImageKeys](c.Context(), cl, "image-keys")
				if err != nil {
					return err
				}
				return a.tell(got, got.Own, func() error {
					fmt.Fprintf(a.out, "%s  this server\n", got.Own)
					for _, k := range got.Trusted {
						fmt.Fprintf(a.out, "%s  %s, since %s by %s\n", k.Fingerprint, printable(k.Name), when(k.Since), printable(k.By))
					}
					return nil
				})
			})
		}}
	c.Flags().StringVar(&forget, "forget", "", "fingerprint of a key whose images are taken no more")
	return a.outputFlag(c)
}
