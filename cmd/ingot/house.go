package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/imaging/wipe/cert"
	"ingot/pxe"
	"ingot/store"
	"ingot/web"
	"ingot/web/access"
	"ingot/web/push"
	"ingot/web/report"
)

// house is an open data folder with everything that works on it. One process has it at a time.
//
//	DATA/ingot.lock        held by that process
//	DATA/ingot.db          records
//	DATA/packs, manifests  images; index and quarantine beside them are made from them
//	DATA/keys              agent.key (TLS), jobs.key (signatures of jobs and versions), wipe-certificates.key (of certificates alone), pages.key and pages.crt (TLS of the pages)
//	DATA/boot              the boot bundle
//	DATA/ingot.sock        the API, while a daemon runs
//	DATA/ingot.alive       the last daemon's sign of life: how it ended, and its clocks
type house struct {
	cfg      config
	lock     *os.File
	db       *store.DB
	chunks   *chunkstore.Store
	shelf    *library.Library
	listener *deploy.Listener
	service  *deploy.Service
	boot     *bundle
	doctor   *bootDoctor
	access   *access.Service
	api      *web.API
	pusher   *push.Pusher
}

// errInUse says that another process has the data folder.
var errInUse = errors.New("the data folder is in use by another ingot")

// openHouse takes the data folder. create makes it when it is absent.
func openHouse(cfg config, log zerolog.Logger, create bool) (_ *house, err error) {
	if _, err := os.Stat(cfg.Data); errors.Is(err, os.ErrNotExist) && !create {
		return nil, job.Faultf(job.CodeDaemon, "There is no data folder %s.", cfg.Data)
	}
	for _, dir := range []string{cfg.Data, filepath.Join(cfg.Data, "keys"), filepath.Join(cfg.Data, "boot")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	h := &house{cfg: cfg, boot: &bundle{dir: filepath.Join(cfg.Data, "boot")}}
	h.doctor = &bootDoctor{bundle: h.boot.dir, started: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.lock, err = takeLock(filepath.Join(cfg.Data, "ingot.lock")); err != nil {
		return nil, err
	}
	signer, err := sign.LoadOrCreate(filepath.Join(cfg.Data, "keys", "jobs.key"))
	if err != nil {
		return nil, keyWords(err)
	}
	if h.db, err = store.Open(filepath.Join(cfg.Data, "ingot.db"), store.Options{Now: cfg.now, Signer: signer}); err != nil {
		return nil, openWords(err)
	}
	if err := signOld(h.db, log); err != nil {
		return nil, err
	}
	if h.chunks, err = chunkstore.Open(cfg.Data); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	h.shelf = &library.Library{DB: h.db, Store: h.chunks, MustHave: cfg.mustHave(), Log: log}
	h.shelf.Listen(func(err error) { log.Error().Err(err).Msg("what happened to the image store could not be recorded") })
	if h.listener, err = deploy.LoadListener(filepath.Join(cfg.Data, "keys", "agent.key")); err != nil {
		return nil, keyWords(err)
	}
	certs, err := cert.Load(filepath.Join(cfg.Data, "keys", "wipe-certificates.key"))
	if err != nil {
		return nil, keyWords(err)
	}
	h.service, err = deploy.New(deploy.Config{
		Certs: certs, Organisation: cfg.Wipe.Organisation, Tool: "ingot " + version,
		DB: h.db, Signer: signer, Boot: h.boot, Manifests: h.chunks.ManifestHandler(), Chunks: h.chunks.StreamHandler(), Whole: h.chunks.Whole,
		Intake: func(disk uint64) deploy.Intake { return h.shelf.Begin(disk) },
		Log:    log, AgentURL: cfg.agentURL(advertised(cfg)), AgentPin: h.listener.Pin(), Now: cfg.now,
		PagesURL: cfg.Pages.URL, Countdown: cfg.Bench.Countdown, ApproveWithin: cfg.Bench.ApproveWithin, RestartWithin: cfg.Bench.RestartWithin,
	})
	if err != nil {
		return nil, err
	}
	provider, err := cfg.provider()
	if err != nil {
		return nil, err
	}
	h.access = access.New(access.Config{DB: h.db, Log: log, Base: cfg.pagesBase, Provider: provider, Now: cfg.now})
	h.shelf.Pin, h.shelf.Address = string(h.listener.Pin()), h.service.Advertised
	guard, err := cfg.pushGuard()
	if err != nil {
		return nil, err
	}
	h.pusher = push.New(push.Config{DB: h.db, Devices: h.service, Log: log, Version: version, Guard: guard, Folder: cfg.Push.CSV})
	status := web.Status{AgentPort: cfg.Agent.Port, Pin: string(h.listener.Pin())}
	h.api = &web.API{Reports: &report.Desk{DB: h.db, Printers: guard.Check}, Base: cfg.pagesBase, Status: status, Bench: h.service, Shelf: h.shelf, Exchange: h.shelf, Wiper: h.service, Access: h.access, Push: h.pusher, Version: version, Explain: h.doctor.explain, Load: newMeter(cfg.Boot.Interfaces).read,
		Hidden: func(err error) { log.Error().Err(err).Msg("a request failed") }, Backups: &backups{house: h}}
	return h, nil
}

// openWords turns the store's reasons into a person's.
func openWords(err error) error {
	switch {
	case errors.Is(err, store.ErrLocked):
		return errors.Join(err, job.Faultf(job.CodeDaemon, "The database is in use by another process."))
	case errors.Is(err, store.ErrNewer):
		return errors.Join(err, job.Faultf(job.CodeDaemon, "The database was written by a newer Ingot."))
	case errors.Is(err, store.ErrDamaged):
		return errors.Join(err, job.Faultf(job.CodeDaemon, "The database is damaged: %s.", job.Reason(err)))
	case job.FaultOf(err).Code != job.CodeInternal:
		return err
	}
	return errors.Join(err, job.Faultf(job.CodeDaemon, "The database cannot be opened: it is damaged, or no database."))
}

// keyWords names the key file that cannot be used.
func keyWords(err error) error {
	if err == nil || job.FaultOf(err).Code != job.CodeInternal {
		return err
	}
	return errors.Join(err, job.Faultf(job.CodeDaemon, "A key cannot be used: %s.", job.Reason(err)))
}

// takeLock holds the data folder for this process; the kernel lets go when the process ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(errInUse, job.Faultf(job.CodeDaemon, "Another ingot is using the data folder %s.", filepath.Dir(path)), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder: %w", err), f.Close())
	}
	return f, nil
}

// close lets everything go, in the order opposite to opening.
func (h *house) close() error {
	var errs []error
	if h.service != nil {
		h.service.Close()
	}
	if h.shelf != nil {
		h.shelf.EndPushes()
	}
	if h.chunks != nil {
		errs = append(errs, h.chunks.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	if h.lock != nil {
		errs = append(errs, h.lock.Close())
	}
	return errors.Join(errs...)
}

// advertised is the address under which deployed systems find this daemon.
func advertised(cfg config) string {
	if cfg.Agent.Advertise != "" {
		return cfg.Agent.Advertise
	}
	for _, name := range cfg.Boot.Interfaces {
		if addrs, err := addressesOf(name); err == nil && len(addrs) > 0 {
			return addrs[0].Addr().String()
		}
	}
	return "127.0.0.1"
}

// agentURL is the agent listener on a host.
func (c config) agentURL(host string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(c.Agent.Port))
}

// advertise follows the address of the first interface that is served, unless the configuration names one. While none
// is, the last one stays.
func (h *house) advertise(stands []pxe.Stand) {
	if h.cfg.Agent.Advertise != "" {
		return
	}
	for _, s := range stands {
		if s.Addr.IsValid() {
			h.service.AdvertiseAt(h.cfg.agentURL(s.Addr.String()))
			return
		}
	}
}

// addressesOf lists an interface's IPv4 addresses with their networks.
func addressesOf(name string) ([]netip.Prefix, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	var out []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			out = append(out, p)
		}
	}
	return out, nil
}
